// profile_dump.hpp: the heap profile as a file, in the text format of gperftools, which pprof
// reads. Written through system calls, with no memory of its own: the caller may be at exit, or
// short of memory.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attrs.hpp"
#include "base/types.hpp"

#include "sys/errno_keeper.hpp"
#include "sys/text.hpp"
#include "sys/world.hpp"

#include "options/options.hpp"
#include "profile/profile.hpp"
#include "profile/profiler.hpp"  // IWYU pragma: export
#include "profile/tables.hpp"

namespace hak {

// As long as it lives, a write to a broken pipe or past the limit of a file's length is an error in
// this thread, and no signal that ends the process.
class QuietWrites {
  public:
    QuietWrites() {
        sigset_t pending;
        ::sigemptyset(&signals_);
        ::sigpending(&pending);
        // What waits already is not ours to take away.
        for (const int signal : {SIGPIPE, SIGXFSZ}) {
            if (::sigismember(&pending, signal) == 0) ::sigaddset(&signals_, signal);
        }
        ::pthread_sigmask(SIG_BLOCK, &signals_, &mask_);
    }
    ~QuietWrites() {
        const struct timespec now{};
        // sigtimedwait() would be a cancellation point.
        while (::syscall(SYS_rt_sigtimedwait, &signals_, nullptr, &now, _NSIG / 8) > 0) {
        }
        ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    }
    QuietWrites(const QuietWrites&) = delete;
    QuietWrites& operator=(const QuietWrites&) = delete;

  private:
    sigset_t signals_, mask_;
};

// Text to a file descriptor. The first error is kept, and what comes after it is dropped.
class Output {
  public:
    explicit Output(const char* path)
        : fd_(static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path,
                                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644))) {
        if (fd_ < 0) error_ = errno;
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    void write(const char* data, std::size_t length) {
        while (length != 0 && error_ == 0) {
            const long n = ::syscall(SYS_write, fd_, data, length);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                error_ = n < 0 ? errno : EIO;
            } else {
                data += n;
                length -= static_cast<std::size_t>(n);
            }
        }
    }
    void write(const Text& text) { write(text.data(), text.size()); }
    int error() const { return error_; }
    // 0, or the first error.
    int close() {
        if (fd_ < 0) return error_;
        const bool failed = ::syscall(SYS_close, fd_) != 0;
        if (failed && error_ == 0) error_ = errno;
        return error_;
    }

  private:
    int fd_;
    int error_ = 0;
};

inline std::uint64_t nearest(double estimate) {
    // NOLINTNEXTLINE(bugprone-incorrect-roundings): not negative here; llround is in libm
    return estimate <= 0 ? 0 : static_cast<std::uint64_t>(estimate + 0.5);
}

// "live blocks: live bytes [blocks: bytes] @". The estimates stand for all blocks, so that pprof
// need not scale them.
inline Text& add_totals(Text& text, const profile::Totals& t) {
    return text << nearest(t.live()) << ": " << nearest(t.live_bytes()) << " ["
                << nearest(t.allocations) << ": " << nearest(t.bytes) << "] @";
}

// Where the process's code lies, so that pprof finds names for addresses.
HAK_COLD inline void copy_maps(Output& out) {
    const long fd = ::syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    char buffer[2048];
    for (;;) {
        const long n = ::syscall(SYS_read, fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        out.write(buffer, static_cast<std::size_t>(n));
    }
    ::syscall(SYS_close, fd);
}

// 0, ENODATA if there is no profile, or the error of the file, which may be incomplete then.
template <World W>
HAK_COLD int dump_profile(const char* path) {
    profile::Profile<W>& heap = heap_profile<W>;
    if (heap.interval() == 0) return ENODATA;
    const ErrnoKeeper keep;
    const QuietWrites quiet;
    Output out(path);
    Text head;
    add_totals(head << "heap profile: ", heap.sum()) << " heapprofile\n";
    out.write(head);
    const std::uint32_t count = heap.stacks();
    for (std::uint32_t i = 0; i < count && out.error() == 0; ++i) {
        const profile::Stack stack = heap.stack(i);
        if (stack.totals.samples == 0) continue;
        Text line;
        add_totals(line, stack.totals);
        // pprof takes the first address for an instruction and the others for return addresses; all
        // of ours are these.
        for (std::uint32_t f = 0; f < stack.depth; ++f)
            line << " " << pointer_to<void>(stack.frames[f] - (f == 0 ? 1 : 0));
        if (stack.depth == 0) line << " " << pointer_to<void>(1);
        out.write(line << "\n");
    }
    constexpr char kMaps[] = "\nMAPPED_LIBRARIES:\n";
    out.write(kMaps, sizeof kMaps - 1);
    copy_maps(out);
    return out.close();
}

// At exit, if the user gave a path. %p in it is the process's id, which tells the programs apart
// that a program starts; a forked child writes a file of its own anyway, whose name ends with its
// id if that is not in the path.
template <World W>
HAK_COLD void dump_profile_at_exit() {
    if (options.profile_path[0] == '\0' || heap_profile<W>.interval() == 0) return;
    const auto pid = static_cast<std::uint64_t>(::getpid());
    Text path;
    bool has_id = pid == static_cast<std::uint64_t>(first_process);
    for (const char* c = options.profile_path; *c != '\0'; ++c) {
        if (c[0] == '%' && c[1] == 'p') {
            path << pid;
            has_id = true;
            c += 1;
        } else {
            path.add(c, 1);
        }
    }
    if (!has_id) path << "." << pid;
    path.add("", 1);
    Text text;
    if (const int error = dump_profile<W>(path.data()); error != 0) {
        text << "hakmem: profile: cannot write " << path.data() << ": " << ::strerrordesc_np(error)
             << "\n";
    } else if (const std::uint64_t lost = heap_profile<W>.counters().overflowed_blocks; lost != 0) {
        text << "hakmem: profile: " << lost << " samples found no room, for which the numbers in "
             << path.data() << " are too small; a longer interval loses none\n";
    }
    text.print();
}

}  // namespace hak
