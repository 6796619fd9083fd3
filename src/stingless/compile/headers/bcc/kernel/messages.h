/* Ancillary data of messages. */
#define SCM_RIGHTS 0x01
#define SCM_CREDENTIALS 0x02
#define SCM_SECURITY 0x03
#define CMSG_ALIGN(length) (((length) + sizeof(long) - 1) & ~(sizeof(long) - 1))
#define CMSG_DATA(cmsg) ((void *)(cmsg) + sizeof(struct cmsghdr))
#define CMSG_USER_DATA(cmsg) ((void *)(cmsg) + sizeof(struct cmsghdr))
#define CMSG_SPACE(length) (sizeof(struct cmsghdr) + CMSG_ALIGN(length))
#define CMSG_LEN(length) (sizeof(struct cmsghdr) + (length))
#define __CMSG_FIRSTHDR(control, length) ((length) >= sizeof(struct cmsghdr) ? (struct cmsghdr *)(control) : NULL)
#define CMSG_FIRSTHDR(msg) __CMSG_FIRSTHDR((msg)->msg_control, (msg)->msg_controllen)
#define CMSG_OK(mhdr, cmsg)                                \
	((cmsg)->cmsg_len >= sizeof(struct cmsghdr) &&     \
	 (cmsg)->cmsg_len <= (unsigned long)((mhdr)->msg_controllen - ((char *)(cmsg) - (char *)(mhdr)->msg_control)))
