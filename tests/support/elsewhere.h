/* elsewhere.h - to be included before all else (-include): what Linux and glibc alone have is not there, as on
 * another system of POSIX. */
#include <features.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#undef __linux__
#undef __GLIBC__
#undef MADV_HUGEPAGE
#undef RUSAGE_THREAD
