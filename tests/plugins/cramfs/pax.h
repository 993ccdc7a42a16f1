// Reads the pax archive on standard input, a member after the other (POSIX.1-2017, pax, "pax Interchange Format").
#ifndef PAX_H
#define PAX_H

#include <stdbool.h>
#include <stdint.h>

struct member {
    char *path;   // from the root, without slashes at its ends; empty for the root
    char *target; // what a symbolic link says, or the path that a hard link is another name of
    char type;    // '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' directory, '6' fifo
    bool has_attributes;
    uint64_t mode, uid, gid, size, major, minor;
};

// The next member, or false at the end. Its strings are the caller's to free.
bool pax_next(struct member *member);

// The content of the member that came last, in `size` bytes that are the caller's to free.
unsigned char *pax_content(const struct member *member);

// Ends the program with a message on standard error, which the host shows.
_Noreturn void die(const char *format, ...);

// Memory, or the end of the program.
void *allocate(size_t size);

#endif
