/* What programs take from linux/sched.h without reading kernel structures. */
#pragma once
#define TASK_COMM_LEN 16
