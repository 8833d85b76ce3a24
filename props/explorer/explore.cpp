// explore.cpp: the interface of explore.hpp and sync.hpp, handed to the engine.
#include "props/explorer/explore.hpp"

#include <cstdio>
#include <cstdlib>

#include "props/explorer/engine.hpp"

namespace explorer {

namespace {

Engine& engine() {
    if (Engine::instance == nullptr) {
        std::fputs("explorer: a verb outside an exploration\n", stderr);
        std::abort();
    }
    return *Engine::instance;
}

// The engine if a thread runs and the word is one to follow.
struct Target {
    Engine* engine;
    std::uint32_t flat;
};
Target target(const void* p, unsigned bytes, bool writes, const Where& where) {
    Engine* const e = Engine::instance;
    if (e == nullptr) return {nullptr, 0};
    if (e->phase() != Engine::Phase::running) {
        e->access_alone(p, bytes, writes);
        return {nullptr, 0};
    }
    const std::uint32_t flat = e->checked(p, where);
    return {flat == Memory::kNowhere ? nullptr : e, flat};
}
std::uint64_t raw(const void* p, unsigned bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, p, bytes);
    return value;
}
Engine* running() {
    Engine* const e = Engine::instance;
    return e != nullptr && e->phase() == Engine::Phase::running ? e : nullptr;
}

}  // namespace

Result explore(const Options& options, const std::function<void(Scenario&)>& body) {
    if (Engine::instance == nullptr) Engine::instance = new Engine;
    return Engine::instance->explore(options, body);
}

void fail(const std::string& text, Kind kind) {
    engine().fail(kind, text);
}
unsigned choose(unsigned n, const char* what, const std::source_location& where) {
    return engine().choose(n, what, where);
}
unsigned self() {
    return engine().self();
}
void act_as(unsigned thread) {
    engine().act_as(thread);
}
bool is_exploring() {
    return running() != nullptr;
}

void* reserve(std::size_t bytes, std::size_t alignment) {
    return engine().reserve(bytes, alignment);
}
void map(void* p, std::size_t bytes) {
    engine().remap(p, bytes, false, true, "map");
}
void unmap(void* p, std::size_t bytes) {
    engine().remap(p, bytes, true, false, "unmap");
}
void clear(void* p, std::size_t bytes) {
    engine().remap(p, bytes, true, true, "clear");
}
bool is_mapped(const void* p) {
    return engine().is_mapped(p);
}

void fork(const std::function<void()>& prepare, const std::function<void()>& parent,
          const std::function<void()>& child) {
    engine().fork(prepare, parent, child);
}

void Scenario::watch(void* p, std::size_t bytes, const char* name) {
    engine_.memory().watch(p, bytes);
    if (name != nullptr) label(p, bytes, name);
}
void Scenario::label(const void* p, std::size_t bytes, const char* text) {
    engine_.memory().label(p, bytes, text);
}
void Scenario::thread(const char* name, std::function<void()> body) {
    engine_.add_thread(name, std::move(body));
}
void Scenario::finally(std::function<void()> body) {
    engine_.set_finally(std::move(body));
}
void Scenario::always(std::function<void()> body) {
    engine_.set_always(std::move(body));
}
void Scenario::run() {
    engine_.run();
}
const Options& Scenario::options() const {
    return engine_.options();
}
void* Scenario::allocate(std::size_t bytes, std::size_t alignment) {
    return engine_.memory().allocate(bytes, alignment);
}
void* Scenario::allocate_ghost(std::size_t bytes, std::size_t alignment) {
    return engine_.memory().allocate_ghost(bytes, alignment);
}

namespace word {

std::uint64_t load(const void* p, unsigned bytes, Order order, const Where& where) {
    const Target t = target(p, bytes, false, where);
    return t.engine != nullptr ? t.engine->load(t.flat, bytes, order, where) : raw(p, bytes);
}

void store(void* p, unsigned bytes, std::uint64_t value, Order order, const Where& where) {
    const Target t = target(p, bytes, true, where);
    if (t.engine != nullptr) return t.engine->store(t.flat, bytes, value, order, where);
    std::memcpy(p, &value, bytes);
}

std::uint64_t update(void* p, unsigned bytes, Update kind, std::uint64_t operand, Order order,
                     const Where& where) {
    const Target t = target(p, bytes, true, where);
    if (t.engine != nullptr) return t.engine->update(t.flat, bytes, kind, operand, order, where);
    const std::uint64_t old = raw(p, bytes);
    const std::uint64_t value = kind == Update::exchange ? operand
                                : kind == Update::add    ? old + operand
                                                         : old - operand;
    std::memcpy(p, &value, bytes);
    return old;
}

bool cas(void* p, unsigned bytes, std::uint64_t& expected, std::uint64_t desired, Order success,
         Order failure, bool weak, const Where& where) {
    const Target t = target(p, bytes, true, where);
    if (t.engine != nullptr)
        return t.engine->cas(t.flat, bytes, expected, desired, success, failure, weak, where);
    const std::uint64_t old = raw(p, bytes);
    if (old != expected) {
        expected = old;
        return false;
    }
    std::memcpy(p, &desired, bytes);
    return true;
}

void fence(Order order, const Where& where) {
    if (Engine* const e = running()) e->fence(order, where);
}

void construct_atomic(void* p, unsigned bytes, std::uint64_t value) {
    const Target t = target(p, bytes, true, Where{});
    if (t.engine != nullptr) t.engine->construct(t.flat, bytes);
    std::memcpy(p, &value, bytes);
}

void read_plain(const void* p, unsigned bytes, const Where& where) {
    const Target t = target(p, bytes, false, where);
    if (t.engine != nullptr) t.engine->read_plain(t.flat, bytes, where);
}

void write_plain(void* p, unsigned bytes, const Where& where) {
    const Target t = target(p, bytes, true, where);
    if (t.engine != nullptr) t.engine->write_plain(t.flat, bytes, where);
}

void begin(Round& round) {
    if (Engine* const e = running()) e->begin(round);
}

void retry(Round& round, const Where& where) {
    if (Engine* const e = running()) e->retry(round, where);
}

void wait(Round& round, const Where& where) {
    if (Engine* const e = running()) return e->wait(round, where);
    if (Engine::instance != nullptr)
        Engine::instance->fail(Kind::liveness,
                               place_of(where) + ": a wait where no other thread runs");
}

}  // namespace word

}  // namespace explorer
