// work.cpp: work for a preloaded library, which is asked for its statistics as JSON in between;
// each answer is a line on stdout. Started by a runner, which judges it: no test by itself.
//
//   timing_work mixed     threads that allocate and free in every way, also each other's blocks
//   timing_work steady    2 MiB allocated, written and freed in turn: one answer when that has
//                         become steady, another after many rounds
//   timing_work buffers   buffers of all lengths for hak_stats_json, and malloc_stats
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Json = std::size_t (*)(char*, std::size_t);

Json json() {
    static const Json function = reinterpret_cast<Json>(::dlsym(RTLD_DEFAULT, "hak_stats_json"));
    if (function == nullptr) {
        std::fprintf(stderr, "timing_work: no hak_stats_json: preload the library\n");
        std::exit(2);
    }
    return function;
}

// From memory that is there already, so that the answer is of the moment.
void say() {
    static char text[1 << 16];
    const std::size_t length = json()(text, sizeof text);
    if (length >= sizeof text) std::abort();
    std::fwrite(text, 1, length, stdout);
    std::fflush(stdout);
}

struct Exchange {
    std::mutex mutex;
    std::vector<void*> blocks;
};

void mix(unsigned thread, Exchange& exchange) {
    const volatile std::size_t impossible = SIZE_MAX;  // or the compiler warns of it
    std::uint64_t x = thread * 977 + 1;
    std::vector<void*> mine;
    for (unsigned i = 0; i < 60000; ++i) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const auto n = static_cast<std::size_t>(x >> 33) % (i % 97 == 0  ? 3 << 20
                                                            : i % 7 == 0 ? 40000
                                                                         : 700);
        void* p = nullptr;
        switch (x >> 60) {
            case 0:
                p = std::calloc(1, n);
                break;
            case 1:
                p = ::memalign(64, n);
                break;
            case 2:
                p = std::realloc(nullptr, n);
                break;
            case 3:
                std::free(::operator new(n, std::nothrow));
                std::free(nullptr);
                break;
            case 4:
                p = ::valloc(n);
                break;
            case 5:
                std::free(std::malloc(impossible - n));
                break;
            default:
                p = std::malloc(n);
        }
        if (p != nullptr) mine.push_back(p);
        if (mine.size() > 200) {
            void*& old = mine[static_cast<std::size_t>(x >> 20) % mine.size()];
            if (i % 5 == 0) {
                old = std::realloc(old, n + 1);
            } else if (i % 3 == 0) {
                const std::lock_guard guard(exchange.mutex);
                std::swap(old, mine.back());
                exchange.blocks.push_back(mine.back());
                mine.pop_back();
                if (exchange.blocks.size() > 64) {
                    std::free(exchange.blocks.front());
                    exchange.blocks.erase(exchange.blocks.begin());
                }
            } else {
                std::swap(old, mine.back());
                std::free(mine.back());
                mine.pop_back();
            }
        }
    }
    for (void* p : mine) std::free(p);
}

void mixed() {
    Exchange exchange;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) threads.emplace_back(mix, t, std::ref(exchange));
    for (std::thread& t : threads) t.join();
    for (void* p : exchange.blocks) std::free(p);
    std::free(std::malloc(std::size_t{1} << 30));
    ::malloc_trim(0);
    say();
}

void round_of_pages() {
    constexpr std::size_t kBytes = 2u << 20, kPage = 4096;
    auto* const p = static_cast<volatile char*>(std::malloc(kBytes));
    for (std::size_t i = 0; i < kBytes; i += kPage) p[i] = 1;
    std::free(const_cast<char*>(p));
}

void steady() {
    for (unsigned i = 0; i < 200; ++i) round_of_pages();
    say();
    for (unsigned i = 0; i < 5000; ++i) round_of_pages();
    say();
}

int buffers() {
    const std::size_t whole = json()(nullptr, 0);
    std::vector<char> text(whole + 64), part(whole + 64);
    const std::size_t length = json()(text.data(), text.size());
    if (length < whole / 2 || text[length] != '\0' || std::strlen(text.data()) != length) return 3;
    for (const std::size_t room :
         {std::size_t{1}, std::size_t{2}, std::size_t{100}, length, length + 1}) {
        std::memset(part.data(), 'x', part.size());
        json()(part.data(), room);
        if (part[room] != 'x' || std::strlen(part.data()) > room - 1) return 4;
    }
    say();
    ::malloc_stats();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc == 2 ? argv[1] : "";
    if (what == "mixed") return mixed(), 0;
    if (what == "steady") return steady(), 0;
    if (what == "buffers") return buffers();
    std::fprintf(stderr, "usage: timing_work mixed | steady | buffers\n");
    return 2;
}
