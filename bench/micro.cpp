// Microbenchmarks of single entry points with Google Benchmark; preload any allocator. The time is
// per block unless a name says otherwise. `--require-library PATH` ends with 1 when another library
// serves malloc.
#include <atomic>
#include <benchmark/benchmark.h>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>

#include "workloads/served.hpp"

namespace {

constexpr std::size_t kBatch = 100;

// The block escapes, so no compiler may leave the pair out; one byte is written, as any program
// would.
void* make(std::size_t size) {
    void* p = std::malloc(size);
    if (p == nullptr) std::abort();
    *static_cast<volatile char*>(p) = 1;
    benchmark::DoNotOptimize(p);
    return p;
}

void per_block(benchmark::State& state, std::size_t blocks) {
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(blocks));
}

void malloc_free(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) std::free(make(size));
    per_block(state, 1);
}

void new_delete(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void* p = ::operator new(size);
        benchmark::DoNotOptimize(p);
        ::operator delete(p, size);
    }
    per_block(state, 1);
}

void batch_lifo(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    void* block[kBatch];
    for (auto _ : state) {
        for (std::size_t i = 0; i < kBatch; ++i) block[i] = make(size);
        for (std::size_t i = kBatch; i-- > 0;) std::free(block[i]);
    }
    per_block(state, kBatch);
}

void batch_fifo(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    void* block[kBatch];
    for (auto _ : state) {
        for (std::size_t i = 0; i < kBatch; ++i) block[i] = make(size);
        for (std::size_t i = 0; i < kBatch; ++i) std::free(block[i]);
    }
    per_block(state, kBatch);
}

void calloc_free(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void* p = std::calloc(1, size);
        benchmark::DoNotOptimize(p);
        std::free(p);
    }
    per_block(state, 1);
}

// From 16 bytes to the size in steps of a half; the time is per vector.
void realloc_grow(benchmark::State& state) {
    const auto limit = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void* p = make(16);
        for (std::size_t size = 24; size <= limit; size += size / 2) {
            p = std::realloc(p, size);
            benchmark::DoNotOptimize(p);
        }
        std::free(p);
    }
    per_block(state, 1);
}

void aligned_free(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    const auto alignment = static_cast<std::size_t>(state.range(1));
    for (auto _ : state) {
        void* p = std::aligned_alloc(alignment, size);
        benchmark::DoNotOptimize(p);
        std::free(p);
    }
    per_block(state, 1);
}

struct Batch {
    void* block[kBatch];
};

// Thread 0 allocates batches, thread 1 frees them; two batches are under way. Both run the same
// number of iterations.
void remote_free(benchmark::State& state) {
    static Batch batches[2];
    static std::atomic<bool> full[2];
    const auto size = static_cast<std::size_t>(state.range(0));
    const bool producer = state.thread_index() == 0;
    std::size_t turn = 0;
    for (auto _ : state) {
        std::atomic<bool>& flag = full[turn];
        while (flag.load(std::memory_order_acquire) == producer) std::this_thread::yield();
        for (void*& block : batches[turn].block) {
            if (producer) {
                block = make(size);
            } else {
                std::free(block);
            }
        }
        flag.store(producer, std::memory_order_release);
        turn ^= 1;
    }
    if (producer) per_block(state, kBatch);
}

constexpr std::int64_t kSizes[] = {16,    64,    200,    512,     1024,   4096,
                                   16384, 32768, 131072, 1048576, 4194304};

void sizes(benchmark::internal::Benchmark* b, std::int64_t limit) {
    for (const std::int64_t size : kSizes) {
        if (size <= limit) b->Arg(size);
    }
}

BENCHMARK(malloc_free)->Apply([](auto* b) { sizes(b, LLONG_MAX); });
BENCHMARK(new_delete)->Apply([](auto* b) { sizes(b, 1024); });
BENCHMARK(batch_lifo)->Apply([](auto* b) { sizes(b, 131072); });
BENCHMARK(batch_fifo)->Apply([](auto* b) { sizes(b, 131072); });
BENCHMARK(calloc_free)->Apply([](auto* b) { sizes(b, 1048576); });
BENCHMARK(realloc_grow)->Arg(1024)->Arg(65536)->Arg(4194304);
BENCHMARK(aligned_free)->Args({64, 64})->Args({256, 64})->Args({4096, 4096})->Args({65536, 65536});
BENCHMARK(remote_free)->Arg(16)->Arg(64)->Arg(512)->Arg(4096)->Threads(2)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
    const std::string served = hak::bench::defining_library("malloc");
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--require-library") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (++i == argc) {
            std::fprintf(stderr, "bench_micro: --require-library needs a path\n");
            return 2;
        }
        if (served != argv[i]) {
            std::fprintf(stderr, "bench_micro: malloc is served by %s, not by %s\n", served.c_str(),
                         argv[i]);
            return 1;
        }
    }
    argc = kept;
    argv[argc] = nullptr;
    benchmark::AddCustomContext("malloc", served);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    if (!std::cout.flush()) {
        std::fprintf(stderr, "bench_micro: the result cannot be written\n");
        return 1;
    }
    return 0;
}
