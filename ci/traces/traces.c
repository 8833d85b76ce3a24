// Fixed single-thread allocation traces: the same calls, sizes and order in every run and on every
// machine.
//
//   traces NAME     run one trace            traces --list     the names, one a line
//
// The bookkeeping is static and nothing but the trace calls the allocator, so what an instruction
// counter or a system-call tracer sees besides the loader's work is the allocator's. Every block
// carries a word that says what it must hold; a wrong word ends the run with exit code 3.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kSlots = 1 << 16 };

static unsigned char* slot[kSlots];
static size_t slot_size[kSlots];
static uint64_t state;

// Multiplicative congruential step with an output mix; its quality only has to keep the traces from
// being regular.
static uint64_t next(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = state ^ (state >> 33);
    x *= 0xff51afd7ed558ccdu;
    return x ^ (x >> 29);
}

static uint64_t below(uint64_t limit) {
    return next() % limit;
}

static void die(const char* what) {
    fprintf(stderr, "traces: %s\n", what);
    exit(3);
}

// First and last byte hold the slot's own mark.
static unsigned char mark_of(size_t i) {
    return (unsigned char)(i * 37 + 11);
}

static void sign(size_t i) {
    if (!slot[i]) die("an allocation failed");
    slot[i][0] = mark_of(i);
    slot[i][slot_size[i] - 1] = mark_of(i);
}

static void check(size_t i) {
    if (slot[i][0] != mark_of(i) || slot[i][slot_size[i] - 1] != mark_of(i))
        die("a block does not hold what was written to it");
}

static void take(size_t i, size_t size) {
    slot_size[i] = size;
    slot[i] = malloc(size);
    sign(i);
}

static void give(size_t i) {
    check(i);
    free(slot[i]);
    slot[i] = NULL;
}

static void give_all(void) {
    for (size_t i = 0; i < kSlots; ++i) {
        if (slot[i]) give(i);
    }
}

// Sizes as programs ask for them: mostly small, a tail of larger ones.
static size_t usual_size(void) {
    const uint64_t kind = below(100);
    if (kind < 60) return 8 + below(120);
    if (kind < 90) return 128 + below(896);
    if (kind < 99) return 1024 + below(7168);
    return 8192 + below(24576);
}

static void small_lifo(void) {
    for (int round = 0; round < 4000; ++round) {
        const size_t size = 16 + 16 * (size_t)(round % 16);
        for (size_t i = 0; i < 32; ++i) take(i, size);
        for (size_t i = 32; i-- > 0;) give(i);
    }
}

static void small_fifo(void) {
    const size_t depth = 600;
    for (size_t i = 0; i < 120000; ++i) {
        const size_t at = i % depth;
        if (slot[at]) give(at);
        take(at, 16 + 8 * (i % 23));
    }
}

static void random_mix(void) {
    for (int i = 0; i < 100000; ++i) {
        const size_t at = below(4000);
        if (slot[at]) {
            give(at);
        } else {
            take(at, usual_size());
        }
    }
}

// One thread of larson: an array of blocks, a random one replaced at each step.
static void larson_one(void) {
    for (size_t i = 0; i < 1000; ++i) take(i, 8 + below(992));
    for (int i = 0; i < 80000; ++i) {
        const size_t at = below(1000);
        give(at);
        take(at, 8 + below(992));
    }
}

static void resize(size_t at, size_t size) {
    check(at);
    const unsigned char first = slot[at][0];
    unsigned char* moved = realloc(slot[at], size);
    if (!moved || moved[0] != first) die("realloc lost the contents");
    slot[at] = moved;
    slot_size[at] = size;
    sign(at);
}

static void realloc_ladder(void) {
    for (int round = 0; round < 20; ++round) {
        for (size_t at = 0; at < 8; ++at) take(at, 16);
        for (int step = 0; step < 60; ++step) {
            for (size_t at = 0; at < 8; ++at)
                resize(at, slot_size[at] + slot_size[at] / 6 + 8 + at);
        }
        for (int step = 0; step < 20; ++step) {
            for (size_t at = 0; at < 8; ++at) resize(at, slot_size[at] / 2 + 1);
        }
        give_all();
    }
}

static void calloc_mix(void) {
    for (int i = 0; i < 60000; ++i) {
        const size_t at = below(1500);
        if (slot[at]) give(at);
        const size_t width = 1 + below(16), size = width * (1 + below(i % 16 ? 60 : 1500));
        slot[at] = calloc(size / width, width);
        slot_size[at] = size;
        if (!slot[at]) die("an allocation failed");
        if (slot[at][0] || slot[at][size / 2] || slot[at][size - 1])
            die("calloc returned a block that is not zero");
        sign(at);
    }
}

static void aligned(void) {
    for (int i = 0; i < 60000; ++i) {
        const size_t at = below(1200);
        if (slot[at]) give(at);
        const size_t alignment = (size_t)16 << below(9), size = 1 + below(3000);
        void* block = NULL;
        if (posix_memalign(&block, alignment, size)) die("an allocation failed");
        if ((uintptr_t)block % alignment) die("a block is not aligned");
        slot[at] = block;
        slot_size[at] = size;
        sign(at);
    }
}

struct Node {
    struct Node* child[2];
    uint64_t key;
};

static struct Node* build(int depth) {
    struct Node* node = malloc(sizeof *node);
    if (!node) die("an allocation failed");
    node->key = (uint64_t)depth * 0x9e3779b97f4a7c15u;
    node->child[0] = depth ? build(depth - 1) : NULL;
    node->child[1] = depth ? build(depth - 1) : NULL;
    return node;
}

static void tear_down(struct Node* node, int depth) {
    if (node->key != (uint64_t)depth * 0x9e3779b97f4a7c15u)
        die("a tree node does not hold what was written to it");
    for (int side = 0; side < 2; ++side) {
        if (node->child[side]) tear_down(node->child[side], depth - 1);
    }
    free(node);
}

static void tree(void) {
    struct Node* longest = build(14);
    for (int round = 0; round < 24; ++round) tear_down(build(11), 11);
    tear_down(longest, 14);
}

// Blocks beyond every slab: runs of units and of superslabs, touched at both ends only.
static void large_churn(void) {
    for (int i = 0; i < 12000; ++i) {
        const size_t at = below(40);
        if (slot[at]) give(at);
        take(at, i % 32 ? 40000 + below(900000) : (size_t)1 << (20 + below(5)));
    }
}

static void string_churn(void) {
    static char text[600];
    for (int i = 0; i < 60000; ++i) {
        const size_t at = below(2500), length = 1 + below(i % 10 ? 40 : 500);
        if (slot[at]) give(at);
        memset(text, 'a' + i % 26, length);
        text[length] = 0;
        take(at, length + 1);
        memcpy(slot[at], text, length + 1);
        if (i % 4 == 0) {
            sign(at);
            resize(at, slot_size[at] + length);
        }
        sign(at);
    }
}

// Many slabs of a few classes are filled, then emptied in a random order, so that frees meet lists
// of every slab.
static void cross_slab(void) {
    for (int round = 0; round < 3; ++round) {
        for (size_t i = 0; i < 24000; ++i) take(i, (size_t)32 << (i % 3));
        for (size_t i = 24000; i-- > 1;) {
            const size_t j = below(i + 1), size = slot_size[i];
            check(i);
            check(j);
            unsigned char* block = slot[i];
            slot[i] = slot[j];
            slot_size[i] = slot_size[j];
            slot[j] = block;
            slot_size[j] = size;
            sign(i);
            sign(j);
        }
        // A tenth outlives the others, which keeps most slabs from being released until the end.
        for (size_t i = 0; i < 24000; ++i) {
            if (i % 10) give(i);
        }
        give_all();
    }
}

static const struct {
    const char* name;
    void (*run)(void);
} traces[] = {
    {"small_lifo", small_lifo},
    {"small_fifo", small_fifo},
    {"random_mix", random_mix},
    {"larson_one", larson_one},
    {"realloc_ladder", realloc_ladder},
    {"calloc_mix", calloc_mix},
    {"aligned", aligned},
    {"tree", tree},
    {"large_churn", large_churn},
    {"string_churn", string_churn},
    {"cross_slab", cross_slab},
};

int main(int count, char** arguments) {
    if (count != 2) {
        fputs("usage: traces NAME | traces --list\n", stderr);
        return 2;
    }
    const int list = !strcmp(arguments[1], "--list");
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; ++i) {
        if (list) {
            puts(traces[i].name);
        } else if (!strcmp(arguments[1], traces[i].name)) {
            state = 0x243f6a8885a308d3u;
            traces[i].run();
            give_all();
            return 0;
        }
    }
    if (list) return 0;
    fprintf(stderr, "traces: no trace is named %s\n", arguments[1]);
    return 2;
}
