// isolate.hpp: histories that kill their process. What runs stands in memory that a parent process
// shares, so that a crash, an abort or a loop without end in one process is a failed history in
// another, which can shrink it.
#pragma once

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "props/kit/broken.hpp"
#include "props/kit/stack.hpp"

namespace kit {

// The process ends by SIGPROF when it has used so much processor time from here on; zero: never.
inline void limit_processor_time(unsigned ms) {
    const itimerval timer{
        {0, 0}, {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000) * 1000}};
    ::setitimer(ITIMER_PROF, &timer, nullptr);
}

inline std::string text_of_death(int status) {
    if (!WIFSIGNALED(status))
        return "the process ended with status " + std::to_string(WEXITSTATUS(status));
    if (WTERMSIG(status) == SIGPROF) return "it does not end";
    return std::string("the process was killed: ") + ::strsignal(WTERMSIG(status));
}

// Which history of which property runs, for whoever is left when it kills its process.
class FlightRecorder {
  public:
    // `ms`: how much processor time it may take. The caller's text must outlive the next note only.
    static void note(const std::string& name, const std::string& text, unsigned ms) {
        Record& r = record();
        copy(r.name, sizeof r.name, name);
        copy(r.text, sizeof r.text, text);
        limit_processor_time(ms);
    }
    static void finish() {
        limit_processor_time(0);
        record().finished = true;
    }
    static bool is_finished() { return record().finished; }
    static std::string name() { return record().name; }
    static std::string text() { return record().text; }
    static Stack& stack() { return record().stack; }

  private:
    struct Record {
        char name[128];
        bool finished;
        Stack stack;
        char text[(std::size_t{1} << 20) - 1024];
    };
    // Made by the first call, which must come before the processes part.
    static Record& record() {
        static Record* const shared = [] {
            void* const p = ::mmap(nullptr, sizeof(Record), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            require(p != MAP_FAILED, "no shared memory");
            return static_cast<Record*>(p);
        }();
        return *shared;
    }
    static void copy(char* to, std::size_t room, const std::string& from) {
        const std::size_t n = from.copy(to, room - 1);
        to[n] = 0;
    }
};

// Runs `work` in a process of its own that must not outlive this one. Its text, empty if all is
// well; or how the process died.
template <class Work>
std::string isolated(unsigned ms, Work work) {
    int ends[2];
    require(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    const pid_t child = ::fork();
    require(child >= 0, "no process");
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        constexpr rlimit kNoCore{0, 0};
        ::setrlimit(RLIMIT_CORE, &kNoCore);
        // What a sanitizer says of each candidate would hide what is found; the replay of the
        // result shows it.
        const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(nowhere, STDOUT_FILENO);
        ::dup2(nowhere, STDERR_FILENO);
        limit_processor_time(ms);
        const std::string wrong = work();
        limit_processor_time(0);
        const bool written =
            ::write(ends[1], wrong.data(), std::min<std::size_t>(wrong.size(), 4096)) >= 0;
        ::_exit(wrong.empty() ? 0 : written ? 3 : 4);
    }
    ::close(ends[1]);
    std::string text(4096, '\0');
    std::size_t got = 0;
    for (ssize_t n;
         got < text.size() && (n = ::read(ends[0], text.data() + got, text.size() - got)) > 0;)
        got += static_cast<std::size_t>(n);
    text.resize(got);
    ::close(ends[0]);
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "a process is lost");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return text.empty() ? text_of_death(status) : text;
}

}  // namespace kit
