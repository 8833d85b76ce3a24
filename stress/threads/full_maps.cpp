// No mapping left to be had, and nothing charged that was not committed.
//
// The program uses up its own number of mappings (vm.max_map_count) with pages of alternating
// protection, and then allocates sizes of every tier, by every way of growing and freeing them.
// Each call gives usable memory, or null with ENOMEM; what it holds stays intact; and when the
// mappings are given back every size is available again. A check beside: of the reserved window
// only what is committed may be accountable (the "ac" flag of /proc/self/smaps), or strict
// overcommit would count address space as memory.
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"rounds", 200, 1, 1u << 20},
    {"seed", 4711, 0, UINT64_MAX},
};

constexpr size_t kPage = 4096;
constexpr size_t kSlots = 64;

struct Held {
    unsigned char* p;
    size_t size;
};
Held held[kSlots];

unsigned char mark_of(const Held& h) {
    return static_cast<unsigned char>(h.size * 31 + 7);
}

void touch(const Held& h) {
    for (size_t i = 0; i < h.size; i += kPage) h.p[i] = mark_of(h);
    h.p[h.size - 1] = mark_of(h);
}

void verify(const Held& h) {
    for (size_t i = 0; i < h.size; i += kPage)
        if (h.p[i] != mark_of(h)) stress::fail("a block of %zu bytes differs at %zu", h.size, i);
    if (h.p[h.size - 1] != mark_of(h))
        stress::fail("a block of %zu bytes differs at its end", h.size);
}

// Pages of alternating protection until the kernel refuses one more border. Returns how many
// borders there are.
size_t use_up_mappings(unsigned char* area, size_t pages) {
    size_t made = 0;
    for (size_t i = 0; i < pages; i += 2) {
        if (mprotect(area + i * kPage, kPage, PROT_READ) != 0) {
            if (errno != ENOMEM) stress::fail("mprotect: errno %d", errno);
            return made;
        }
        ++made;
    }
    return made;
}

// Bytes of mappings that count against the commit limit; reads smaps without allocating.
size_t accountable_bytes() {
    const int file = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    if (file < 0) stress::fail("/proc/self/smaps: errno %d", errno);
    static char buffer[1 << 16];
    size_t kept = 0, total = 0, size_kib = 0;
    for (ssize_t got; (got = read(file, buffer + kept, sizeof buffer - 1 - kept)) > 0;) {
        kept += static_cast<size_t>(got);
        buffer[kept] = '\0';
        char* line = buffer;
        for (char* end; (end = strchr(line, '\n')) != nullptr; line = end + 1) {
            *end = '\0';
            if (strncmp(line, "Size:", 5) == 0) size_kib = strtoull(line + 5, nullptr, 10);
            if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " ac") != nullptr)
                total += size_kib * 1024;
        }
        kept = strlen(line);
        memmove(buffer, line, kept);
    }
    close(file);
    return total;
}

void one_step(stress::Random& random) {
    Held& h = held[random.next() % kSlots];
    const size_t size = random.log_between(16, 8u << 20);
    if (h.p != nullptr && random.next() % 3 == 0) {
        verify(h);
        errno = 0;
        if (void* const grown = subject::realloc(h.p, size)) {
            h = {static_cast<unsigned char*>(grown), size};
            touch(h);
        } else {
            if (errno != ENOMEM) stress::fail("realloc returned null with errno %d", errno);
            verify(h);
        }
        return;
    }
    if (h.p != nullptr) {
        verify(h);
        subject::free(h.p);
        h = {};
    }
    errno = 0;
    h = {static_cast<unsigned char*>(subject::malloc(size)), size};
    if (h.p == nullptr) {
        if (errno != ENOMEM) stress::fail("malloc returned null with errno %d", errno);
        return;
    }
    if (errno != 0) stress::fail("malloc set errno %d though it succeeded", errno);
    touch(h);
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    stress::Random random(stress::seed_of_run);

    subject::free(subject::malloc(1));
    const size_t charged = accountable_bytes();
    if (charged > (size_t{1} << 30))
        stress::fail("%zu MiB count against the commit limit at start", charged >> 20);

    constexpr size_t kPages = size_t{1} << 18;
    auto* const area = static_cast<unsigned char*>(
        mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (area == MAP_FAILED) stress::fail("mmap: errno %d", errno);
    const size_t borders = use_up_mappings(area, kPages);
    if (borders == kPages / 2) {
        // vm.max_map_count may have been raised beyond any use; then there is nothing to show here.
        printf("full_maps: vm.max_map_count is above %zu, not reached\n", kPages);
        return 0;
    }
    for (uint64_t round = 0; round < parameters[0].value; ++round) {
        for (int i = 0; i < 20; ++i) one_step(random);
    }
    for (Held& h : held) {
        if (h.p == nullptr) continue;
        verify(h);
        subject::free(h.p);
        h = {};
    }
    munmap(area, kPages * kPage);
    for (const size_t size :
         {size_t{40}, size_t{3000}, size_t{100'000}, size_t{3'000'000}, size_t{50'000'000}}) {
        Held h{static_cast<unsigned char*>(subject::malloc(size)), size};
        if (h.p == nullptr)
            stress::fail("with all mappings given back, malloc(%zu) returned null", size);
        touch(h);
        subject::free(h.p);
    }
    printf("full_maps: %zu borders used up, %" PRIu64 " rounds, %zu KiB charged at start\n",
           borders, parameters[0].value, charged >> 10);
    return 0;
}
