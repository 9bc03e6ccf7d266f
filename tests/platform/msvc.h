/* What nn.h needs of Microsoft's C library, as its headers declare it, for header.sh: the compiler
   that checks nn.h as Microsoft's would has no such headers. */
#ifndef MSVC_H
#define MSVC_H

#include <stddef.h>

#define NAN            (-(float)(INFINITY * 0.0F))
#define INFINITY       ((float)(1e300 * 1e300))
#define SEEK_SET       0
#define SEEK_END       2
#define EOF            (-1)
#define EACCES         13
#define EEXIST         17
#define errno          (*_errno())
#define _O_WRONLY      0x0001
#define _O_CREAT       0x0100
#define _O_EXCL        0x0400
#define _O_BINARY      0x8000
#define _O_NOINHERIT   0x0080
#define _S_IREAD       0x0100
#define _S_IWRITE      0x0080
#define CLOCKS_PER_SEC ((clock_t)1000)
#define TIME_UTC       1
#define stdout         (__acrt_iob_func(1))
#define stderr         (__acrt_iob_func(2))
#define assert(e)      ((void)((e) || (_assert(#e, __FILE__, __LINE__), 0)))
typedef long clock_t;
typedef __int64 time_t;
typedef struct _iobuf {
    void *_Placeholder;
} FILE;
struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

#ifdef __cplusplus
extern "C" {
#endif
double __cdecl fabs(double);
double __cdecl floor(double);
double __cdecl fma(double, double, double);
double __cdecl sqrt(double);
float __cdecl fmaf(float, float, float);
float __cdecl floorf(float);
float __cdecl sqrtf(float);
void *__cdecl malloc(size_t);
void __cdecl free(void *);
void __cdecl qsort(void *, size_t, size_t, int(__cdecl *)(void const *, void const *));
void *__cdecl memcpy(void *, void const *, size_t);
void *__cdecl memmove(void *, void const *, size_t);
void *__cdecl memset(void *, int, size_t);
void *__cdecl memchr(void const *, int, size_t);
int __cdecl memcmp(void const *, void const *, size_t);
size_t __cdecl strlen(char const *);
int __cdecl strcmp(char const *, char const *);
int __cdecl strncmp(char const *, char const *, size_t);
char *__cdecl strchr(char const *, int);
char *__cdecl strrchr(char const *, int);
void __cdecl _assert(char const *, char const *, unsigned);
FILE *__cdecl __acrt_iob_func(unsigned);
FILE *__cdecl fopen(char const *, char const *);
int __cdecl fclose(FILE *);
int __cdecl ferror(FILE *);
int __cdecl fflush(FILE *);
int __cdecl fseek(FILE *, long, int);
long __cdecl ftell(FILE *);
size_t __cdecl fread(void *, size_t, size_t, FILE *);
size_t __cdecl fwrite(void const *, size_t, size_t, FILE *);
int __cdecl fputc(int, FILE *);
int __cdecl fputs(char const *, FILE *);
int __cdecl printf(char const *, ...);
int __cdecl fprintf(FILE *, char const *, ...);
int __cdecl snprintf(char *, size_t, char const *, ...);
int __cdecl remove(char const *);
int __cdecl rename(char const *, char const *);
int *__cdecl _errno(void);
int __cdecl _open(char const *, int, ...);
int __cdecl _close(int);
int __cdecl _commit(int);
int __cdecl _fileno(FILE *);
FILE *__cdecl _fdopen(int, char const *);
clock_t __cdecl clock(void);
time_t __cdecl time(time_t *);
int __cdecl timespec_get(struct timespec *, int);
#ifdef __cplusplus
}
#endif
#endif
