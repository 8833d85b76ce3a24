// Running out of memory under RLIMIT_AS and RLIMIT_DATA.
//
// For each limit and each size the program starts itself again under that limit, so that the
// allocator sees it from its first call. The child allocates until it gets null; errno must then be
// ENOMEM, every further failing entry point must agree and leave its arguments alone, the contents
// of all blocks must be intact; after half of them were freed, as many blocks of the same size must
// be available again as a quarter of what there was; and after all were freed a block of another
// size, too.
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"limit_mb", 256, 16, 1u << 20},
    {"seed", 2357, 0, UINT64_MAX},
    {"child", 0, 0, 2},  // which limit a started child runs under; 0 is the parent
    {"size", 0, 0, 1u << 30},
};

// Kept in a list through the blocks themselves, because the program may allocate nothing else here.
struct Node {
    Node* next;
    uint32_t size;
    uint32_t check;
};

void expect_enomem(const char* what) {
    if (errno != ENOMEM) stress::fail("%s returned null with errno %d", what, errno);
}

unsigned char tail_byte(const Node* n) {
    return static_cast<unsigned char>(n->check ^ n->size);
}

Node* allocate_node(size_t size, stress::Random& random) {
    errno = 0;
    void* p = subject::malloc(size);
    if (p == nullptr) {
        expect_enomem("malloc");
        return nullptr;
    }
    if (errno != 0) stress::fail("malloc set errno %d though it succeeded", errno);
    Node* n = static_cast<Node*>(p);
    n->size = static_cast<uint32_t>(size);
    n->check = static_cast<uint32_t>(random.next());
    // Every page is touched, so that what was promised is really there.
    for (size_t i = sizeof(Node); i < size; i += 4096)
        static_cast<unsigned char*>(p)[i] = tail_byte(n);
    if (size > sizeof(Node)) static_cast<unsigned char*>(p)[size - 1] = tail_byte(n);
    return n;
}

void verify(const Node* n) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(n);
    for (size_t i = sizeof(Node); i < n->size; i += 4096)
        if (bytes[i] != tail_byte(n))
            stress::fail("a block of %u bytes differs at %zu after exhaustion", n->size, i);
    if (n->size > sizeof(Node) && bytes[n->size - 1] != tail_byte(n))
        stress::fail("a block of %u bytes differs at its end", n->size);
}

size_t pick_size(uint64_t fixed, stress::Random& random) {
    return fixed != 0 ? fixed : random.log_between(16, 4u << 20);
}

int run_child(uint64_t fixed, size_t limit) {
    stress::Random random(stress::seed_of_run);
    // For these there are addresses and no memory; to refuse them must cost nothing, or what
    // follows fails.
    for (const size_t gib : {size_t{40}, size_t{80}, size_t{120}}) {
        void* const block = subject::malloc(3u << 20);
        for (void* const p : {subject::malloc(gib << 30),
                              block == nullptr ? nullptr : subject::realloc(block, gib << 30)}) {
            if (p != nullptr) stress::fail("%zu GiB were handed out", gib);
        }
        subject::free(block);
    }
    Node* head = nullptr;
    size_t count = 0, bytes = 0;
    while (Node* n = allocate_node(pick_size(fixed, random), random)) {
        n->next = head;
        head = n;
        count += 1;
        bytes += n->size;
        if (bytes > limit)
            stress::fail("%zu bytes were handed out under a limit of %zu", bytes, limit);
    }
    if (bytes < limit / 8)
        stress::fail("only %zu bytes could be allocated under a limit of %zu", bytes, limit);

    const size_t huge = limit;
    errno = 0;
    if (subject::calloc(1, huge) != nullptr) stress::fail("calloc of the whole limit succeeded");
    expect_enomem("calloc");
    errno = 0;
    if (subject::realloc(head, huge) != nullptr)
        stress::fail("realloc to the whole limit succeeded");
    expect_enomem("realloc");
    verify(head);
    errno = 0;
    if (subject::aligned_alloc(1u << 21, huge) != nullptr)
        stress::fail("aligned_alloc of the whole limit succeeded");
    expect_enomem("aligned_alloc");
    void* untouched = &random;
    errno = 7;
    if (subject::posix_memalign(&untouched, 4096, huge) != ENOMEM)
        stress::fail("posix_memalign did not return ENOMEM");
    if (untouched != &random) stress::fail("posix_memalign changed its pointer though it failed");

    size_t half = 0;
    for (Node* n = head; n != nullptr && n->next != nullptr; n = n->next) {
        Node* victim = n->next;
        verify(n);
        verify(victim);
        n->next = victim->next;
        subject::free(victim);
        half += 1;
    }
    size_t again = 0;
    stress::Random same(stress::seed_of_run);
    for (; again < half / 2; ++again) {
        Node* n = allocate_node(pick_size(fixed, same), random);
        if (n == nullptr) break;
        n->next = head;
        head = n;
    }
    if (again < half / 2)
        stress::fail("after %zu of %zu blocks were freed only %zu were available again", half,
                     count, again);
    while (head != nullptr) {
        Node* n = head;
        head = n->next;
        verify(n);
        subject::free(n);
    }
    for (const size_t size : {size_t{40}, size_t{3000}, size_t{100'000}, size_t{3'000'000}}) {
        void* p = subject::malloc(size);
        if (p == nullptr) stress::fail("with everything freed, malloc(%zu) returned null", size);
        memset(p, 1, size);
        subject::free(p);
    }
    printf("oom: limit %zu MiB, size %" PRIu64 ": %zu blocks, %zu MiB\n", limit >> 20, fixed, count,
           bytes >> 20);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    const uint64_t limit_mb = parameters[0].value;
    const size_t limit = limit_mb << 20;
    if (parameters[2].value != 0) {
        // The output buffer would otherwise be allocated after the memory is gone.
        static char buffer[4096];
        setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
        return run_child(parameters[3].value, limit);
    }
    for (const uint64_t child : {1, 2})
        for (const uint64_t size :
             {16, 100, 1000, 20'000, 60'000, 300'000, 3'000'000, 20'000'000, 0}) {
            char arguments[4][32];
            snprintf(arguments[0], 32, "%" PRIu64, limit_mb);
            snprintf(arguments[1], 32, "%" PRIu64, stress::seed_of_run);
            snprintf(arguments[2], 32, "%" PRIu64, child);
            snprintf(arguments[3], 32, "%" PRIu64, size);
            const pid_t pid = fork();
            if (pid < 0) stress::fail("fork: %s", strerror(errno));
            if (pid == 0) {
                const rlimit bound{limit, limit};
                if (setrlimit(child == 1 ? RLIMIT_AS : RLIMIT_DATA, &bound) != 0) _exit(9);
                execl(argv[0], argv[0], arguments[0], arguments[1], arguments[2], arguments[3],
                      static_cast<char*>(nullptr));
                _exit(9);
            }
            int status = 0;
            waitpid(pid, &status, 0);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                stress::fail("under %s of %" PRIu64 " MiB the run with size %" PRIu64
                             " ended with status 0x%x; run: prlimit --%s=%zu %s %s %s %s %s",
                             child == 1 ? "RLIMIT_AS" : "RLIMIT_DATA", limit_mb, size,
                             static_cast<unsigned>(status), child == 1 ? "as" : "data", limit,
                             argv[0], arguments[0], arguments[1], arguments[2], arguments[3]);
        }
    return 0;
}
