// stack.hpp: where a process was when a signal killed it. The handler writes addresses to memory
// that the parent shares; the parent, whose programs and libraries lie at the same addresses, says
// which functions they are. A sanitizer that handles a signal keeps it.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <dlfcn.h>
#include <execinfo.h>
#include <iostream>
#include <string>
#include <unistd.h>

namespace kit {

struct Stack {
    static constexpr int kMost = 48;
    volatile int depth;
    void* frames[kMost];
};

class StackRecorder {
  public:
    // From here on a deadly signal leaves the stack of this process in `stack`.
    static void record(Stack& stack) {
        stack_ = &stack;
        void* one[1];
        ::backtrace(one, 1);  // loads what it needs, which a handler must not
        static std::array<char, 1 << 16> room;
        stack_t other{};
        other.ss_sp = room.data();
        other.ss_size = room.size();
        ::sigaltstack(&other, nullptr);
        for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
            struct sigaction now{};
            if (::sigaction(number, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
            now = {};
            now.sa_handler = note;
            now.sa_flags = SA_ONSTACK | SA_RESETHAND;
            ::sigaction(number, &now, nullptr);
        }
    }
    // The functions of a stack, innermost first, without the handler's own.
    static void print(const Stack& stack, std::ostream& out) {
        std::string program(4096, '\0');
        const ssize_t length = ::readlink("/proc/self/exe", program.data(), program.size());
        program.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
        std::string line = "addr2line -Cfpie '" + program + "'";
        for (int i = kHandler; i < stack.depth; ++i) {
            Dl_info where{};
            if (::dladdr(stack.frames[i], &where) == 0) continue;
            const auto offset = reinterpret_cast<std::uintptr_t>(stack.frames[i]) -
                                reinterpret_cast<std::uintptr_t>(where.dli_fbase);
            if (program != where.dli_fname && where.dli_fname != nullptr &&
                *where.dli_fname == '/' && program.find(where.dli_fname) == std::string::npos) {
                if (i == kHandler) out << "  in " << where.dli_fname << "\n";
                continue;
            }
            char text[32];
            std::snprintf(text, sizeof text, " %#zx",
                          static_cast<std::size_t>(offset - 1));  // in the call, not behind it
            line += text;
        }
        std::FILE* const pipe = ::popen((line + " 2>/dev/null").c_str(), "r");
        if (pipe == nullptr) return;
        std::string shown;
        unsigned lines = 0;
        for (int c; (c = std::fgetc(pipe)) != EOF;) {
            if (c != '\n') {
                shown += static_cast<char>(c);
            } else if (++lines <= kLines) {
                out << "  " << shorter(shown) << "\n";
                shown.clear();
            }
        }
        ::pclose(pipe);
    }

  private:
    static constexpr int kHandler = 2;  // backtrace's caller, and what the system calls it from
    static constexpr unsigned kLines = 16;
    static constexpr std::size_t kWidth = 160;

    static void note(int number) {
        stack_->depth = ::backtrace(stack_->frames, Stack::kMost);
        ::raise(number);  // SA_RESETHAND: now it kills
    }
    // Names of templates are long; where they are from stands at the end.
    static std::string shorter(const std::string& text) {
        if (text.size() <= kWidth) return text;
        return text.substr(0, kWidth / 2) + " ... " + text.substr(text.size() - kWidth / 2);
    }
    static inline Stack* stack_ = nullptr;
};

}  // namespace kit
