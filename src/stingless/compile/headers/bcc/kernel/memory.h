/* Memory: flags of mappings and of allocations, pages. */
#define VM_READ 0x00000001UL
#define VM_WRITE 0x00000002UL
#define VM_EXEC 0x00000004UL
#define VM_SHARED 0x00000008UL
#define VM_MAYREAD 0x00000010UL
#define VM_MAYWRITE 0x00000020UL
#define VM_MAYEXEC 0x00000040UL
#define VM_MAYSHARE 0x00000080UL
#define VM_GROWSDOWN 0x00000100UL
#define VM_PFNMAP 0x00000400UL
#define VM_LOCKED 0x00002000UL
#define VM_IO 0x00004000UL
#define VM_DONTCOPY 0x00020000UL
#define VM_DONTEXPAND 0x00040000UL
#define VM_ACCOUNT 0x00100000UL
#define VM_HUGETLB 0x00400000UL
#define VM_STACK VM_GROWSDOWN
#if __st_has(___GFP_DMA_BIT)
#define __GFP_DMA (1U << ___GFP_DMA_BIT)
#define __GFP_HIGHMEM (1U << ___GFP_HIGHMEM_BIT)
#define __GFP_DMA32 (1U << ___GFP_DMA32_BIT)
#define __GFP_MOVABLE (1U << ___GFP_MOVABLE_BIT)
#define __GFP_RECLAIMABLE (1U << ___GFP_RECLAIMABLE_BIT)
#define __GFP_HIGH (1U << ___GFP_HIGH_BIT)
#define __GFP_IO (1U << ___GFP_IO_BIT)
#define __GFP_FS (1U << ___GFP_FS_BIT)
#define __GFP_ZERO (1U << ___GFP_ZERO_BIT)
#define __GFP_DIRECT_RECLAIM (1U << ___GFP_DIRECT_RECLAIM_BIT)
#define __GFP_KSWAPD_RECLAIM (1U << ___GFP_KSWAPD_RECLAIM_BIT)
#define __GFP_WRITE (1U << ___GFP_WRITE_BIT)
#define __GFP_NOWARN (1U << ___GFP_NOWARN_BIT)
#define __GFP_RETRY_MAYFAIL (1U << ___GFP_RETRY_MAYFAIL_BIT)
#define __GFP_NOFAIL (1U << ___GFP_NOFAIL_BIT)
#define __GFP_NORETRY (1U << ___GFP_NORETRY_BIT)
#define __GFP_MEMALLOC (1U << ___GFP_MEMALLOC_BIT)
#define __GFP_COMP (1U << ___GFP_COMP_BIT)
#define __GFP_NOMEMALLOC (1U << ___GFP_NOMEMALLOC_BIT)
#define __GFP_HARDWALL (1U << ___GFP_HARDWALL_BIT)
#define __GFP_THISNODE (1U << ___GFP_THISNODE_BIT)
#define __GFP_ACCOUNT (1U << ___GFP_ACCOUNT_BIT)
#else
#define __GFP_DMA 0x01U
#define __GFP_HIGHMEM 0x02U
#define __GFP_DMA32 0x04U
#define __GFP_MOVABLE 0x08U
#define __GFP_RECLAIMABLE 0x10U
#define __GFP_HIGH 0x20U
#define __GFP_IO 0x40U
#define __GFP_FS 0x80U
#define __GFP_ZERO 0x100U
#define __GFP_DIRECT_RECLAIM 0x400U
#define __GFP_KSWAPD_RECLAIM 0x800U
#define __GFP_WRITE 0x1000U
#define __GFP_NOWARN 0x2000U
#define __GFP_RETRY_MAYFAIL 0x4000U
#define __GFP_NOFAIL 0x8000U
#define __GFP_NORETRY 0x10000U
#define __GFP_MEMALLOC 0x20000U
#define __GFP_COMP 0x40000U
#define __GFP_NOMEMALLOC 0x80000U
#define __GFP_HARDWALL 0x100000U
#define __GFP_THISNODE 0x200000U
#define __GFP_ACCOUNT 0x400000U
#endif
#define __GFP_RECLAIM (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define GFP_ATOMIC (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_NOWAIT __GFP_KSWAPD_RECLAIM
#define GFP_NOIO __GFP_RECLAIM
#define GFP_NOFS (__GFP_RECLAIM | __GFP_IO)
#define GFP_USER (__GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL)
#define GFP_DMA __GFP_DMA
#define GFP_DMA32 __GFP_DMA32
#define GFP_HIGHUSER (GFP_USER | __GFP_HIGHMEM)
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)
#define folio_page(folio, n) (&(folio)->page + (n))
#define page_folio(p) ((struct folio *)(p))
#define SG_CHAIN 0x01UL
#define SG_END 0x02UL
#define SG_PAGE_LINK_MASK (SG_CHAIN | SG_END)
#define sg_is_chain(sg) ((sg)->page_link & SG_CHAIN)
#define sg_is_last(sg) ((sg)->page_link & SG_END)
#define sg_chain_ptr(sg) ((struct scatterlist *)((sg)->page_link & ~SG_PAGE_LINK_MASK))
#define sg_page(sg) ((struct page *)((sg)->page_link & ~SG_PAGE_LINK_MASK))
