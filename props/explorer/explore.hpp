// explore.hpp: the explorer's interface: a scenario of a few logical threads over real source, run
// in every schedule and with every value that the memory model allows.
//
//     explorer::Result r = explorer::explore({}, [](explorer::Scenario& s) {
//         auto& queue = s.make<Queue<explorer::Sync>>();     // in the arena
//         auto& seen = s.ghost<unsigned>();                  // reset before each execution
//         s.thread("freer", [&] { queue.push(1); });
//         s.thread("owner", [&] { seen = queue.drain(); });
//         s.finally([&] { explorer::check(seen <= 1, "a block twice"); });
//         s.run();
//     });
//
// The body runs once. What it does before run() is the set-up: single-threaded, not explored, the
// same for every execution. run() executes the threads again and again and returns when the search
// ends, so lambdas may capture the body's locals by reference. Local variables are not reset
// between executions; arena, watched objects and ghosts are.
//
// Rules for the code that threads run: shared words are Sync::Atomic or Sync::Plain; other writes
// to shared memory are neither seen nor undone. No exception leaves a thread, no native
// thread_local, and no local owns anything in its destructor: a thread that an execution does not
// need any more is abandoned, not unwound.
#pragma once

#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "props/explorer/options.hpp"
#include "props/explorer/sync.hpp"

namespace explorer {

class Scenario;

// Runs the body, which ends with Scenario::run(), and says what was found.
Result explore(const Options& options, const std::function<void(Scenario&)>& body);

// --- Verbs, for threads, `finally` and the set-up ---

// Ends the exploration with a failure if the condition does not hold.
[[noreturn]] void fail(const std::string& text, Kind kind = Kind::check);
inline void check(bool condition, const char* text) {
    if (!condition) [[unlikely]]
        fail(text);
}

// One of 0..n-1; all are explored. 0 in the set-up and in `finally`. `what` is for the trace.
unsigned choose(unsigned n, const char* what = "",
                const std::source_location& where = std::source_location::current());

// Which logical thread runs, from 0 in the order of Scenario::thread(). The set-up and `finally`
// act as the thread that they name.
unsigned self();
void act_as(unsigned thread);
// True while threads run, false in the set-up and in `finally`.
bool is_exploring();

// Address space of the arena: unmapped until map(). An address is never handed out twice in one
// execution.
void* reserve(std::size_t bytes, std::size_t alignment);
// The range becomes accessible and zero; a range that is not unmapped is a failure. Both count as a
// write to every byte: it must happen after every earlier access, and a later access must happen
// after it. Granularity: kGrain bytes.
inline constexpr std::size_t kGrain = 64;
void map(void* p, std::size_t bytes);
void unmap(void* p, std::size_t bytes);
// Both in one: the range stays accessible and becomes zero.
void clear(void* p, std::size_t bytes);
bool is_mapped(const void* p);

// Waits until the condition holds. The condition may not write. Waiting for ever is a failure.
template <class Condition>
void await(Condition condition) {
    for (Sync::Loop loop; !condition(); loop.wait()) {
    }
}

// fork(): `prepare` runs, then the process is copied, and either `parent` runs and the thread goes
// on, or `child` runs: in the child every word has its latest value, the other threads are gone,
// and the execution ends with `child`. `finally` runs after parents only. A child that touches a
// plain word which a vanished thread was perhaps about to write is a data race.
void fork(const std::function<void()>& prepare, const std::function<void()>& parent,
          const std::function<void()>& child);

// --- Scenario ---

class Scenario {
  public:
    // An object in the arena, and an array of them. Set-up only.
    template <class T, class... Arguments>
    T& make(Arguments&&... arguments) {
        return *::new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
    }
    template <class T>
    T* make_array(std::size_t n) {
        T* const all = static_cast<T*>(allocate(n * sizeof(T), alignof(T)));
        for (std::size_t i = 0; i < n; ++i) ::new (static_cast<void*>(all + i)) T();
        return all;
    }
    // Memory of the test itself: not checked, and before each execution as it was at the end of the
    // set-up.
    template <class T, class... Arguments>
    T& ghost(Arguments&&... arguments) {
        static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
        return *::new (allocate_ghost(sizeof(T), alignof(T)))
            T(std::forward<Arguments>(arguments)...);
    }
    // An object outside the arena whose words threads share: from here on checked, before each
    // execution as it was at the end of the set-up, and after the exploration as it is at this
    // call.
    template <class T>
    void watch(T& object, const char* label = nullptr) {
        watch(static_cast<void*>(&object), sizeof(T), label);
    }
    void watch(void* p, std::size_t bytes, const char* label);
    // Names memory in traces: an access prints as label, or label+offset.
    void label(const void* p, std::size_t bytes, const char* text);
    template <class T>
    void label(const T& object, const char* text) {
        label(static_cast<const void*>(&object), sizeof(T), text);
    }

    void thread(const char* name, std::function<void()> body);
    // After every thread has ended, ordered after everything that they did; may call the source
    // under test.
    void finally(std::function<void()> body);
    // After every step: ghosts only.
    void always(std::function<void()> body);

    // Explores. The last statement of the body.
    void run();

    const Options& options() const;

  private:
    friend class Engine;
    friend Result explore(const Options&, const std::function<void(Scenario&)>&);
    explicit Scenario(class Engine& engine) : engine_(engine) {}
    void* allocate(std::size_t bytes, std::size_t alignment);
    void* allocate_ghost(std::size_t bytes, std::size_t alignment);

    class Engine& engine_;
};

}  // namespace explorer
