// fibers.hpp: logical threads with stacks of their own, all run by one real thread. A call of one
// can stop half-way, at a point that the code under test announces, while others go on; it goes on
// later, or never, which is what a fork does to it.
#pragma once

#include <array>
#include <exception>
#include <functional>
#include <sys/mman.h>
#include <ucontext.h>
#include <utility>

#include "base/types.hpp"

#include "props/kit/broken.hpp"

namespace kit {

template <unsigned kCount>
class Fibers {
  public:
    // `enter` is told who runs, whenever that changes.
    explicit Fibers(void (*enter)(unsigned t)) : enter_(enter) {}

    // Runs `work` as thread t until it ends, stops or sleeps. `pause`: it stops at its pause-th
    // point; 0: at none. What it throws is thrown here.
    void start(unsigned t, unsigned pause, std::function<void()> work) {
        Fiber& f = fibers_[t];
        require(f.state == State::idle, "thread ", t, " has a call under way");
        f.work = std::move(work);
        f.pause = pause;
        f.state = State::ready;
        ::getcontext(&f.context);
        f.context.uc_stack = {.ss_sp = stack_of(f), .ss_flags = 0, .ss_size = kStackBytes};
        f.context.uc_link = nullptr;
        ::makecontext(&f.context, reinterpret_cast<void (*)()>(run), 2,
                      static_cast<unsigned>(hak::address_of(this)),
                      static_cast<unsigned>(hak::address_of(this) >> 32));
        go(t);
    }
    bool is_idle(unsigned t) const { return fibers_[t].state == State::idle; }
    bool all_idle_but(unsigned t) const {
        for (unsigned i = 0; i < kCount; ++i) {
            if (i != t && !is_idle(i)) return false;
        }
        return true;
    }
    // Runs until t's call has ended: what stopped goes on, and where it sleeps, those go on that
    // may wake it.
    void complete(unsigned t) {
        while (!is_idle(t)) {
            unsigned next = t;
            for (unsigned i = 0; !is_ready(next) && i < kCount; ++i) next = i;
            require(is_ready(next), "every thread with a call under way sleeps");
            fibers_[next].pause = 0;
            go(next);
        }
    }
    void complete_all() {
        for (unsigned t = 0; t < kCount; ++t) complete(t);
    }
    // The thread's call ends here, half-way.
    void drop(unsigned t) { fibers_[t].state = State::idle; }
    void drop_all() {
        for (unsigned t = 0; t < kCount; ++t) drop(t);
    }

    // ---- called on a thread's own stack

    // A place where a call may stop.
    void point() {
        if (current_ == kCount) return;
        Fiber& f = fibers_[current_];
        if (f.pause == 0 || --f.pause != 0) return;
        leave(State::ready);
    }
    // Sleeps while the word has the value.
    void sleep_while(const std::uint32_t* word, std::uint32_t value) {
        require(current_ != kCount, "the driver of the threads waits for one of them");
        fibers_[current_].word = word;
        fibers_[current_].value = value;
        leave(State::asleep);
    }
    static constexpr unsigned kNobody = kCount;
    unsigned current() const { return current_; }

  private:
    static constexpr std::size_t kStackBytes = 256 * 1024;
    enum class State : unsigned char { idle, ready, asleep };
    struct Fiber {
        ucontext_t context{};
        void* stack = nullptr;
        State state = State::idle;
        unsigned pause = 0;
        const std::uint32_t* word = nullptr;
        std::uint32_t value = 0;
        std::function<void()> work;
    };

    static void* stack_of(Fiber& f) {
        if (f.stack != nullptr) return f.stack;
        f.stack = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
        require(f.stack != MAP_FAILED, "no memory for a stack");
        return f.stack;
    }
    bool is_ready(unsigned t) const {
        const Fiber& f = fibers_[t];
        return f.state == State::ready ||
               (f.state == State::asleep && __atomic_load_n(f.word, __ATOMIC_RELAXED) != f.value);
    }
    void go(unsigned t) {
        current_ = t;
        fibers_[t].state = State::ready;
        enter_(t);
        ::swapcontext(&driver_, &fibers_[t].context);
        current_ = kCount;
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    }
    void leave(State state) {
        Fiber& f = fibers_[current_];
        f.state = state;
        ::swapcontext(&f.context, &driver_);
    }
    static void run(unsigned low, unsigned high) {
        auto* const self = hak::pointer_to<Fibers>(std::uintptr_t{high} << 32 | low);
        Fiber& f = self->fibers_[self->current_];
        try {
            f.work();
        } catch (...) {
            self->thrown_ = std::current_exception();
        }
        f.state = State::idle;
        ::setcontext(&self->driver_);
    }

    void (*enter_)(unsigned);
    std::array<Fiber, kCount> fibers_{};
    ucontext_t driver_{};
    unsigned current_ = kCount;
    std::exception_ptr thrown_;
};

}  // namespace kit
