/*
 * Lets User Mode Linux 6.1 run on processors whose register state is larger than it knows, such as those with AMX.
 * It then reads only the first part of the state of its processes, and PTRACE_SETREGSET refuses what is not the whole
 * with EFAULT. This library, preloaded, completes what it writes by what the process has.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

/* x86_64 defines 11,008 bytes today. */
static char state[64 * 1024] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
	static long (*real)(enum __ptrace_request, pid_t, void *, void *);
	va_list arguments;
	va_start(arguments, request);
	pid_t process = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
		const struct iovec *part = data;
		struct iovec whole = { state, sizeof(state) };
		if (real(PTRACE_GETREGSET, process, address, &whole) == 0 && whole.iov_len > part->iov_len) {
			memcpy(state, part->iov_base, part->iov_len);
			return real(PTRACE_SETREGSET, process, address, &whole);
		}
	}
	return real(request, process, address, data);
}
