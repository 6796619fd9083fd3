/* Where the kernel's addresses begin. */
#if __st_has(x86_64)
#define __START_KERNEL_map 0xffffffff80000000UL
#define __PAGE_OFFSET_BASE __PAGE_OFFSET_BASE_L4
#define __PAGE_OFFSET_BASE_L4 0xffff888000000000UL
#define __PAGE_OFFSET_BASE_L5 0xff11000000000000UL
#define PAGE_OFFSET __PAGE_OFFSET_BASE_L4
#define __pgtable_l5_enabled() 0 /* what is above the base of four levels is above that of five */
#define TASK_SIZE_MAX ((1UL << 47) - PAGE_SIZE)
#define TASK_SIZE TASK_SIZE_MAX
#endif
#if __st_has(aarch64)
#define VA_BITS CONFIG_ARM64_VA_BITS
#define PAGE_OFFSET (-(1UL << VA_BITS))
#define VA_START PAGE_OFFSET
#define TASK_SIZE (1UL << VA_BITS)
#endif
