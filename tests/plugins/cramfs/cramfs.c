// A formatter in plain C: makes a cramfs of the pax archive on standard input. `cramfs [-n NAME] FILE`.
//
//     superblock | entries of directories | block pointers and blocks of a file | ... of the next | ...
//
// Everything is little-endian, and every offset counts words of four bytes. Blocks are zlib streams of 4096 bytes each, here
// stored and not compressed. cramfs knows no times, no hard links and no attributes.
#include "pax.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK = 4096,
    SUPERBLOCK = 76,
    ENTRY = 12,
    STORED = 11, // what a stored zlib stream adds to its content
    FSID_VERSION_2 = 1,
    SORTED_DIRECTORIES = 2,
};
// Entries have 24 bits for a size, 26 for an offset in words, 6 for a name's length in words.
enum { MOST_SIZE = 1 << 24, MOST_OFFSET = 1 << 28, MOST_NAME = 63 * 4 };

struct node {
    struct node *next; // in the order of the archive: parents before children
    struct node *child, *last_child, *sibling;
    char *name;
    uint32_t mode, uid, gid, size, offset;
    unsigned char *content; // of a file or a symbolic link
};

static uint32_t padded(size_t length) { return (uint32_t)(length + 3) / 4 * 4; }

static uint32_t blocks(uint32_t size) { return (size + BLOCK - 1) / BLOCK; }

static void put(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static void put_entry(unsigned char *to, const struct node *node)
{
    put(to, node->mode | node->uid << 16);
    put(to + 4, node->size | node->gid << 24);
    put(to + 8, padded(strlen(node->name)) / 4 | node->offset / 4 << 6);
    memcpy(to + ENTRY, node->name, strlen(node->name));
}

static bool is_called(const struct node *node, const char *name, size_t length)
{
    return strlen(node->name) == length && !memcmp(node->name, name, length);
}

static struct node *child(const struct node *directory, const char *name, size_t length)
{
    // Mostly it is the one that came last.
    struct node *node = directory->last_child;
    if (node && is_called(node, name, length))
        return node;
    for (node = directory->child; node && !is_called(node, name, length); node = node->sibling)
        ;
    return node;
}

// The directory that `path` stands in; `path` becomes the name alone.
static struct node *parent(struct node *root, char **path)
{
    struct node *directory = root;
    for (char *slash; (slash = strchr(*path, '/')); *path = slash + 1) {
        directory = child(directory, *path, (size_t)(slash - *path));
        if (!directory)
            die("%s: its directory has not come before it", *path);
    }
    return directory;
}

static struct node *node_of(const struct member *member)
{
    static const uint32_t types[] = {['0'] = 0100000, ['2'] = 0120000, ['3'] = 0020000,
                                     ['4'] = 0060000, ['5'] = 0040000, ['6'] = 0010000};
    const char *path = *member->path ? member->path : "the root";
    if (member->type == '1')
        die("%s: a hard link, and cramfs has none", path);
    if (member->type < '0' || member->type > '6')
        die("%s: a member of type '%c', which is unknown", path, member->type);
    if (member->has_attributes)
        die("%s: has extended attributes, and cramfs has none", path);
    if (member->uid > UINT16_MAX || member->gid > UINT8_MAX)
        die("%s: belongs to %llu:%llu, and cramfs ends at %u:%u", path, member->uid, member->gid, UINT16_MAX, UINT8_MAX);
    struct node *node = allocate(sizeof *node);
    node->mode = types[(int)member->type] | (uint32_t)member->mode;
    node->uid = (uint32_t)member->uid;
    node->gid = (uint32_t)member->gid;
    if (member->type == '0') {
        if (member->size >= MOST_SIZE)
            die("%s: has %llu bytes, and a file in a cramfs has fewer than %u", path, member->size, MOST_SIZE);
        node->size = (uint32_t)member->size;
        node->content = pax_content(member);
    } else if (member->type == '2') {
        node->size = (uint32_t)strlen(member->target);
        node->content = (unsigned char *)member->target;
    } else if (member->type == '3' || member->type == '4') {
        if (member->major > UINT8_MAX || member->minor > UINT8_MAX)
            die("%s: device %llu:%llu, and cramfs ends at 255:255", path, member->major, member->minor);
        node->size = (uint32_t)(member->major << 8 | member->minor);
    }
    return node;
}

static struct node *read_tree(void)
{
    struct node *root = NULL, *last = NULL;
    for (struct member member; pax_next(&member);) {
        struct node *node = node_of(&member);
        char *name = member.path;
        if (!root) {
            if (*name)
                die("%s: came before the root", name);
            root = last = node;
            node->name = name;
            continue;
        }
        struct node *directory = parent(root, &name);
        if (strlen(name) > MOST_NAME)
            die("%s: has a name of %zu bytes, and cramfs ends at %u", member.path, strlen(name), MOST_NAME);
        node->name = name;
        if (directory->last_child)
            directory->last_child->sibling = node;
        else
            directory->child = node;
        directory->last_child = node;
        last = last->next = node;
    }
    if (!root)
        die("the archive has no root");
    return root;
}

// Decides where entries and content stand; the end of it all, at most.
static uint64_t lay_out(struct node *root)
{
    uint64_t end = SUPERBLOCK;
    for (struct node *node = root; node; node = node->next) {
        if (!node->child)
            continue;
        node->offset = (uint32_t)end;
        for (struct node *entry = node->child; entry; entry = entry->sibling)
            node->size += ENTRY + padded(strlen(entry->name));
        end += node->size;
        if (node->size >= MOST_SIZE || end >= MOST_OFFSET)
            die("%s: the directories do not fit a cramfs", node->name);
    }
    uint64_t most = end;
    for (struct node *node = root; node; node = node->next)
        if (node->content)
            most += node->size + blocks(node->size) * (4 + STORED) + 3;
    return most;
}

// A zlib stream of one stored block (RFC 1950 and 1951, 3.2.4).
static uint32_t put_stored(unsigned char *to, const unsigned char *content, uint32_t length)
{
    uint32_t a = 1, b = 0;
    for (uint32_t i = 0; i < length; i++)
        a = (a + content[i]) % 65521, b = (b + a) % 65521;
    const unsigned char head[] = {0x78, 0x01, 0x01, length, length >> 8, ~length, ~length >> 8};
    const unsigned char tail[] = {b >> 8, b, a >> 8, a};
    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, content, length);
    memcpy(to + sizeof head + length, tail, sizeof tail);
    return length + STORED;
}

// Puts a file's block pointers, each of which is where its block ends, and its blocks; where they end.
static uint32_t put_content(unsigned char *image, const struct node *node)
{
    uint32_t pointer = node->offset, end = node->offset + 4 * blocks(node->size);
    for (uint32_t done = 0; done < node->size; done += BLOCK, pointer += 4) {
        uint32_t length = node->size - done < BLOCK ? node->size - done : BLOCK;
        end += put_stored(image + end, node->content + done, length);
        put(image + pointer, end);
    }
    return padded(end);
}

// As in zlib and Ethernet.
static uint32_t crc32(const unsigned char *bytes, uint32_t length)
{
    uint32_t crc = ~0u;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void write_image(struct node *root, const char *name, const char *file)
{
    uint64_t most = lay_out(root) + BLOCK;
    if (most > SIZE_MAX)
        die("%llu bytes do not fit a cramfs", most);
    unsigned char *image = allocate((size_t)most);
    uint32_t end = SUPERBLOCK, stored = 0, files = 0;
    for (struct node *node = root; node; node = node->next)
        if (node->child)
            end = node->offset + node->size;
    for (struct node *node = root; node; node = node->next, files++)
        if (node->content && node->size) {
            if (end >= MOST_OFFSET)
                die("%s: begins beyond the %u bytes that a cramfs can address", node->name, MOST_OFFSET);
            node->offset = end;
            end = put_content(image, node);
            stored += blocks(node->size);
        }
    for (struct node *node = root; node; node = node->next) {
        uint32_t at = node->offset;
        for (struct node *entry = node->child; entry; entry = entry->sibling) {
            put_entry(image + at, entry);
            at += ENTRY + padded(strlen(entry->name));
        }
    }
    end = blocks(end) * BLOCK;
    put(image, 0x28cd3d45);
    put(image + 4, end);
    put(image + 8, FSID_VERSION_2 | SORTED_DIRECTORIES);
    memcpy(image + 16, "Compressed ROMFS", 16);
    put(image + 40, stored);
    put(image + 44, files);
    memcpy(image + 48, name, strlen(name));
    put_entry(image + 64, root);
    put(image + 32, crc32(image, end));

    FILE *partition = fopen(file, "r+b");
    if (!partition)
        die("%s cannot be opened", file);
    fseeko(partition, 0, SEEK_END);
    if (ftello(partition) < end)
        die("needs %u bytes, and the partition has %lld", end, ftello(partition));
    rewind(partition);
    if (fwrite(image, 1, end, partition) != end || fclose(partition))
        die("%s cannot be written", file);
}

int main(int count, char **arguments)
{
    const char *name = "";
    for (int option; (option = getopt(count, arguments, "n:")) != -1;) {
        if (option != 'n')
            return 2;
        name = optarg;
    }
    if (optind + 1 != count)
        die("usage: cramfs [-n NAME] FILE");
    if (strlen(name) > 16)
        die("the name '%s' has %zu bytes, and cramfs ends at 16", name, strlen(name));
    write_image(read_tree(), name, arguments[optind]);
    return 0;
}
