#include "pax.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The members of a ustar header. Numbers are octal; what does not fit stands in an extended header as well.
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char target[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == 512, "a header is a block");

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("cramfs: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

void *allocate(size_t size)
{
    void *memory = calloc(size ? size : 1, 1);
    if (!memory)
        die("out of memory: %zu bytes", size);
    return memory;
}

static void read_exactly(void *bytes, size_t size)
{
    if (fread(bytes, 1, size, stdin) != size)
        die("the archive ends early");
}

static char *copy(const char *text, size_t length)
{
    return memcpy(allocate(length + 1), text, length);
}

static uint64_t octal(const char *field, size_t length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (uint64_t)(field[i] - '0');
    return value;
}

unsigned char *pax_content(const struct member *member)
{
    if (member->size > SIZE_MAX - 512)
        die("%s: too large", member->path);
    size_t size = (size_t)member->size, padded = (size + 511) / 512 * 512;
    unsigned char *content = allocate(padded);
    read_exactly(content, padded);
    return content;
}

static void replace(char **text, const char *value, size_t length)
{
    free(*text);
    *text = copy(value, length);
}

// Records of an extended header: "LENGTH KEY=VALUE\n", where LENGTH is that of the whole record. What they say is put over
// what the header says; `member` has nothing but what they said before.
static void read_records(char *records, size_t size, struct member *said, bool *sized)
{
    for (char *record = records, *end = records + size; record < end;) {
        char *key;
        size_t length = strtoul(record, &key, 10);
        char *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals || length > (size_t)(end - record) || record + length <= equals || *key != ' ')
            die("an extended header is broken");
        char *value = equals + 1;
        size_t value_length = (size_t)(record + length - 1 - value);
        *equals = 0, key++;
        record += length;
        record[-1] = 0;
        if (!strcmp(key, "path"))
            replace(&said->path, value, value_length);
        else if (!strcmp(key, "linkpath"))
            replace(&said->target, value, value_length);
        else if (!strcmp(key, "uid"))
            said->uid = strtoull(value, NULL, 10);
        else if (!strcmp(key, "gid"))
            said->gid = strtoull(value, NULL, 10);
        else if (!strcmp(key, "size"))
            said->size = strtoull(value, NULL, 10), *sized = true;
        else if (!strncmp(key, "SCHILY.xattr.", 13))
            said->has_attributes = true;
    }
}

static char *path_of(const struct header *header)
{
    char text[sizeof header->prefix + sizeof header->name + 2];
    int length = snprintf(text, sizeof text, "%.155s%s%.100s", header->prefix, *header->prefix ? "/" : "", header->name);
    return copy(text, (size_t)length);
}

static void trim(char *path)
{
    size_t start = strncmp(path, "./", 2) ? 0 : 2, length = strlen(path);
    memmove(path, path + start, length - start + 1);
    for (length -= start; length > 0 && path[length - 1] == '/'; length--)
        path[length - 1] = 0;
    if (!strcmp(path, "."))
        *path = 0;
}

bool pax_next(struct member *member)
{
    const uint64_t unsaid = UINT64_MAX;
    bool sized = false;
    *member = (struct member){.uid = unsaid, .gid = unsaid};
    for (;;) {
        struct header header;
        read_exactly(&header, sizeof header);
        if (!*header.name) {
            while (getchar() != EOF)
                ; // The second block of zeros, and what follows.
            return false;
        }
        uint64_t size = octal(header.size, sizeof header.size);
        if (header.type == 'x') {
            struct member extended = {.path = "an extended header", .size = size};
            char *records = (char *)pax_content(&extended);
            read_records(records, (size_t)size, member, &sized);
            free(records);
            continue;
        }
        member->type = header.type;
        if (!member->path)
            member->path = path_of(&header);
        if (!member->target)
            member->target = copy(header.target, strnlen(header.target, sizeof header.target));
        if (!sized)
            member->size = size;
        if (member->uid == unsaid)
            member->uid = octal(header.uid, sizeof header.uid);
        if (member->gid == unsaid)
            member->gid = octal(header.gid, sizeof header.gid);
        member->mode = octal(header.mode, sizeof header.mode);
        member->major = octal(header.major, sizeof header.major);
        member->minor = octal(header.minor, sizeof header.minor);
        trim(member->path);
        return true;
    }
}
