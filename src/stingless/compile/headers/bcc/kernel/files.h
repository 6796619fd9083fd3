/* Files, directories, devices, mounts. */
#define MINORBITS 20
#define MINORMASK ((1U << MINORBITS) - 1)
#define MAJOR(dev) ((unsigned int)((dev) >> MINORBITS))
#define MINOR(dev) ((unsigned int)((dev)&MINORMASK))
#define MKDEV(major, minor) (((major) << MINORBITS) | (minor))
#if __st_has(struct dentry, d_iname)
#define DNAME_INLINE_LEN sizeof(((struct dentry *)0)->d_iname)
#else
#define DNAME_INLINE_LEN sizeof(((struct dentry *)0)->d_shortname.string)
#define d_iname d_shortname.string
#endif
#define f_dentry f_path.dentry
#define f_vfsmnt f_path.mnt
#define READ 0
#define WRITE 1
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_LSEEK 0x4
#define FMODE_PREAD 0x8
#define FMODE_PWRITE 0x10
#define FMODE_EXEC 0x20
#define FMODE_OPENED 0x80000
#define FMODE_CREATED 0x100000
#define FMODE_NONOTIFY 0x4000000
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
#define MAY_APPEND 8
#define MAY_ACCESS 16
#define MAY_OPEN 32
#define MAY_CHDIR 64
#define MAY_NOT_BLOCK 128
#define ACC_MODE(flags) ("\004\002\006\006"[(flags)&O_ACCMODE])
#define OPEN_FMODE(flags) (((flags) + 1) & O_ACCMODE)
#define S_IRWXUGO (S_IRWXU | S_IRWXG | S_IRWXO)
#define S_IALLUGO (S_ISUID | S_ISGID | S_ISVTX | S_IRWXUGO)
#define S_IRUGO (S_IRUSR | S_IRGRP | S_IROTH)
#define S_IWUGO (S_IWUSR | S_IWGRP | S_IWOTH)
#define S_IXUGO (S_IXUSR | S_IXGRP | S_IXOTH)
#define MNT_NOSUID 0x01
#define MNT_NODEV 0x02
#define MNT_NOEXEC 0x04
#define MNT_NOATIME 0x08
#define MNT_READONLY 0x40
#define MNT_INTERNAL 0x4000
#define SB_RDONLY 1
#define SB_NOSUID 2
#define SB_NODEV 4
#define SB_NOEXEC 8
#define SB_SYNCHRONOUS 16
#define IOCB_DIRECT (1 << 17)
#define IOCB_APPEND (1 << 1)
#define ATTR_MODE (1 << 0)
#define ATTR_UID (1 << 1)
#define ATTR_GID (1 << 2)
#define ATTR_SIZE (1 << 3)
#define ATTR_ATIME (1 << 4)
#define ATTR_MTIME (1 << 5)
#define ATTR_CTIME (1 << 6)
#define LOOKUP_FOLLOW 0x0001
#define LOOKUP_DIRECTORY 0x0002
#define DCACHE_MOUNTED (1 << 15)
#define IS_ROOT(dentry) ((dentry) == (dentry)->d_parent)
#define IS_RDONLY(inode) ((inode)->i_sb->s_flags & SB_RDONLY)

static inline unsigned int imajor(const struct inode *inode)
{
	return MAJOR(inode->i_rdev);
}
static inline unsigned int iminor(const struct inode *inode)
{
	return MINOR(inode->i_rdev);
}
static inline u32 new_encode_dev(dev_t dev)
{
	return (MINOR(dev) & 0xff) | MAJOR(dev) << 8 | (MINOR(dev) & ~0xff) << 12;
}
static inline dev_t new_decode_dev(u32 dev)
{
	return MKDEV((dev & 0xfff00) >> 8, (dev & 0xff) | (dev >> 12 & 0xfff00));
}
static inline struct inode *file_inode(const struct file *file)
{
	return file->f_inode;
}
static inline struct dentry *file_dentry(const struct file *file)
{
	return file->f_path.dentry;
}
static inline struct inode *d_inode(const struct dentry *dentry)
{
	return dentry->d_inode;
}
static inline struct inode *d_backing_inode(const struct dentry *dentry)
{
	return dentry->d_inode;
}
static inline _Bool d_is_negative(const struct dentry *dentry)
{
	return !dentry->d_inode;
}
static inline loff_t i_size_read(const struct inode *inode)
{
	return inode->i_size;
}
static inline struct mount *real_mount(struct vfsmount *mnt)
{
	return container_of(mnt, struct mount, mnt);
}
static inline size_t iov_iter_count(const struct iov_iter *iter)
{
	return iter->count;
}
#if __st_has(struct iov_iter, data_source)
static inline unsigned char iov_iter_rw(const struct iov_iter *iter)
{
	return iter->data_source ? WRITE : READ;
}
#else
static inline unsigned char iov_iter_rw(const struct iov_iter *iter)
{
	return iter->type & 1 ? WRITE : READ;
}
#endif
