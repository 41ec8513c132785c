/* few_threads.c - to be preloaded: of 8 threads one after the other only the first FEW_THREADS can be made. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
    static atomic_uint made;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (atomic_fetch_add(&made, 1) % 8 >= (unsigned)atoi(getenv("FEW_THREADS")))
        return EAGAIN;
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    return create(thread, attr, f, arg);
}
