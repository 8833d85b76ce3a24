// Forks of a process whose threads are inside stdio. libc's fork takes the lock of its list of
// streams; fflush(NULL) holds that lock while it waits for a stream's own lock; and who holds a
// stream's lock may be allocating. One scenario per run.
//
// The scenarios bring the threads into their places one after the other and look into /proc to see
// that they are there; where /proc does not tell, they wait a moment.
#include <atomic>
#include <cstdio>
#include <functional>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>

#include "../support.hpp"

namespace {

// A thread that says who it is, so that others can see in which system call it waits.
class Actor {
  public:
    explicit Actor(std::function<void()> act)
        : thread_([this, act = std::move(act)] {
              id_.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_release);
              act();
          }) {}
    ~Actor() { thread_.join(); }

    void await_call(long number) const {
        const auto start = std::chrono::steady_clock::now();
        while (stress::seconds_since(start) < 2) {
            const long seen = current_call();
            if (seen == kUnknown) break;
            if (seen == number) return;
            usleep(1000);
        }
        usleep(100'000);
    }

  private:
    static constexpr long kUnknown = -2;

    long current_call() const {
        const int id = id_.load(std::memory_order_acquire);
        if (id == 0) return -1;
        char path[64], text[32] = {};
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", id);
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) return kUnknown;
        const ssize_t got = read(file, text, sizeof text - 1);
        close(file);
        if (got <= 0) return kUnknown;
        return text[0] >= '0' && text[0] <= '9' ? strtol(text, nullptr, 10) : -1;
    }

    std::atomic<int> id_{0};
    std::thread thread_;
};

// Every lock of stdio and of the allocator is free: for this thread, and for another one.
void use_everything() {
    const auto use = [] {
        fflush(nullptr);
        FILE* const file = fopen("/dev/null", "w");
        if (file == nullptr) stress::fail("fopen: %s", strerror(errno));
        for (const uint32_t size : {100u, 5000u, 100'000u, 3'000'000u}) {
            stress::Block b = stress::allocate(size, 1, 1);
            stress::release(b, "after a fork");
        }
        fprintf(file, "%d", 1);
        fclose(file);
    };
    use();
    std::thread(use).join();
}

void fork_and_use_everything() {
    const pid_t child = fork();
    if (child < 0) stress::fail("fork: %s", strerror(errno));
    if (child == 0) {
        alarm(20);
        use_everything();
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) stress::fail("waitpid: %s", strerror(errno));
    if (status != 0) stress::fail("a child ended with status 0x%x", static_cast<unsigned>(status));
}

// getline holds a stream's lock and waits for input, for which it will need memory; fflush(NULL)
// holds the list and waits for that stream; fork waits for the list. Then the input comes.
void fork_between_flush_and_getline() {
    constexpr size_t kLine = 400'000;
    static char text[kLine];
    memset(text, 'x', sizeof text);
    text[kLine - 1] = '\n';
    for (int round = 0; round < 5; ++round) {
        int ends[2];
        if (pipe(ends) != 0) stress::fail("pipe: %s", strerror(errno));
        FILE* const stream = fdopen(ends[0], "r");
        char* line = nullptr;
        size_t room = 0;
        ssize_t length = 0;
        {
            Actor reader([&] { length = getline(&line, &room, stream); });
            reader.await_call(SYS_read);
            Actor flusher([] { fflush(nullptr); });
            flusher.await_call(SYS_futex);
            Actor forker(fork_and_use_everything);
            forker.await_call(SYS_futex);
            for (size_t done = 0; done < kLine;) {
                const ssize_t n = write(ends[1], text + done, kLine - done);
                if (n <= 0) stress::fail("write: %s", strerror(errno));
                done += static_cast<size_t>(n);
            }
        }
        if (length != static_cast<ssize_t>(kLine) || memcmp(line, text, kLine) != 0)
            stress::fail("getline returned %zd", length);
        subject::free(line);
        fclose(stream);
        close(ends[1]);
        use_everything();
    }
}

void fork_alone() {
    for (int i = 0; i < 20; ++i) fork_and_use_everything();
    use_everything();
}

// The list's lock belongs to the forking thread itself, which has it from fflush(NULL); the process
// has one thread.
void fork_inside_a_flush() {
    static int writes;
    cookie_io_functions_t functions{};
    functions.write = [](void*, const char*, size_t n) -> ssize_t {
        if (++writes == 1) {
            const pid_t child = fork();
            if (child == 0) {
                alarm(20);
                return static_cast<ssize_t>(n);  // the child goes on inside the same flush
            }
            int status = 0;
            waitpid(child, &status, 0);
            if (status != 0)
                stress::fail("the child ended with status 0x%x", static_cast<unsigned>(status));
        }
        return static_cast<ssize_t>(n);
    };
    FILE* const stream = fopencookie(nullptr, "w", functions);
    fputs("text", stream);
    fflush(nullptr);
    if (writes != 1) stress::fail("%d writes instead of one", writes);
    use_everything();
}

// Threads open, flush and close streams and read lines of any length, while two threads fork.
void fork_from_busy_streams() {
    std::atomic<bool> stop{false};
    {
        const auto busy = [&](auto body) {
            return [&stop, body] {
                while (!stop.load(std::memory_order_relaxed)) body();
            };
        };
        Actor flusher(busy([] { fflush(nullptr); }));
        Actor opener(busy([] {
            if (FILE* const file = fopen("/dev/null", "w"); file != nullptr) fclose(file);
        }));
        Actor reader(busy([] {
            std::string text(200'000, 'y');
            FILE* const file = fmemopen(text.data(), text.size(), "r");
            char* line = nullptr;
            size_t room = 0;
            if (getline(&line, &room, file) != static_cast<ssize_t>(text.size()))
                stress::fail("getline read a part");
            subject::free(line);
            fclose(file);
        }));
        {
            const auto forks = [] {
                for (int i = 0; i < 100; ++i) fork_and_use_everything();
            };
            Actor one(forks), other(forks);
        }
        stop.store(true, std::memory_order_relaxed);
    }
    use_everything();
}

check_test scenarios[] = {
    CHECK_TEST(fork_between_flush_and_getline),
    CHECK_TEST(fork_alone),
    CHECK_TEST(fork_inside_a_flush),
    CHECK_TEST(fork_from_busy_streams),
};

}  // namespace

int main(int, char** argv) {
    return check_main(argv, check_chain(scenarios, std::size(scenarios)), CHECK_ALONE, 60, nullptr);
}
