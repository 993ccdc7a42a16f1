// What Debian's mkfs programs call of POSIX and WASI's C library does not have, as a system answers that has one user, one
// file and no other program.
#include "posix.h"

#include <errno.h>
#include <mntent.h>
#include <termios.h>

uid_t getuid(void) { return 0; }
uid_t geteuid(void) { return 0; }
gid_t getgid(void) { return 0; }
gid_t getegid(void) { return 0; }

mode_t umask(mode_t mask)
{
    (void)mask;
    return 022;
}

unsigned alarm(unsigned seconds)
{
    (void)seconds;
    return 0;
}

FILE *popen(const char *command, const char *mode)
{
    (void)command, (void)mode;
    errno = ENOSYS;
    return NULL;
}

int pclose(FILE *stream)
{
    (void)stream;
    errno = ENOSYS;
    return -1;
}

int mkstemp(char *pattern)
{
    (void)pattern;
    errno = ENOSYS;
    return -1;
}

// Nothing is mounted: the table of what is opens, and is empty.
FILE *setmntent(const char *path, const char *mode)
{
    (void)path, (void)mode;
    return stdin;
}

struct mntent *getmntent(FILE *table)
{
    (void)table;
    return NULL;
}

int endmntent(FILE *table)
{
    (void)table;
    return 1;
}

char *hasmntopt(const struct mntent *entry, const char *option)
{
    (void)entry, (void)option;
    return NULL;
}

// No descriptor is a terminal.
int tcgetattr(int descriptor, struct termios *attributes)
{
    (void)descriptor, (void)attributes;
    errno = ENOTTY;
    return -1;
}
