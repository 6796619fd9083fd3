/* Registers, for kernels whose BTF cannot be read: struct pt_regs begins so in all of them. */
#if __st_has(x86_64)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#endif
#if __st_has(aarch64)
struct pt_regs {
	unsigned long long regs[31], sp, pc, pstate;
	unsigned long long orig_x0;
	int syscallno;
	unsigned int unused;
};
#endif
