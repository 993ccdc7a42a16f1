// What Debian's mkfs programs use of POSIX and WASI's C library does not declare; included before everything else.
#ifndef POSIX_H
#define POSIX_H

#include <stdio.h>
#include <sys/types.h>

// Users: there is one.
uid_t getuid(void), geteuid(void);
gid_t getgid(void), getegid(void);
mode_t umask(mode_t mask);

// Alarms never ring.
unsigned alarm(unsigned seconds);

// There are no other programs, and no files but one.
FILE *popen(const char *command, const char *mode);
int pclose(FILE *stream);
int mkstemp(char *pattern);

// Locks and device controls: the calls that take these answer that they know none.
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define F_SETLK 6
#define F_SETLKW 7
#define _IO(group, number) (((group) << 8) | (number))

#endif
