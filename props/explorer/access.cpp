// access.cpp: what each operation of a thread does, from the moment it stops before it.
#include <cstring>

#include "props/explorer/engine.hpp"

namespace explorer {

namespace {

std::uint64_t truncate(std::uint64_t value, unsigned bytes) {
    return bytes == sizeof(value) ? value : value & ((std::uint64_t{1} << bytes * 8) - 1);
}

std::uint64_t apply(word::Update kind, std::uint64_t old, std::uint64_t operand, unsigned bytes) {
    if (kind == word::Update::exchange) return operand;
    return truncate(kind == word::Update::add ? old + operand : old - operand, bytes);
}

}  // namespace

// The orders that the machine executes: as declared, or what the target gives.
Op Engine::prepare(Op::Kind kind, std::uint32_t flat, unsigned bytes, Order& order, Order& failure,
                   Sites::What what, const Where& where) {
    const Sites::Orders orders = sites_.meet(where, what, {order, failure});
    order = orders.order;
    failure = orders.failure;
    Op op;
    op.kind = kind;
    if (kind != Op::Kind::fence) {
        const unsigned w = shadow_.word(flat, bytes);
        if (w == Shadow::kNoWord) report_conflict(where);
        op.word = static_cast<std::uint16_t>(w);
    }
    if (options_.orders == Orders::declared) {
        op.order = order;
        op.failure = failure;
        op.sc = order == Order::seq_cst || (kind == Op::Kind::cas && failure == Order::seq_cst);
    } else if (options_.orders == Orders::x86) {
        const bool locked = kind == Op::Kind::update || kind == Op::Kind::cas ||
                            (kind == Op::Kind::store && order == Order::seq_cst);
        op.order = kind == Op::Kind::load    ? Order::acquire
                   : kind == Op::Kind::store ? Order::release
                                             : Order::acq_rel;
        op.failure = Order::acquire;
        op.full_fence = locked;
        op.sc = locked || kind == Op::Kind::fence;
    }
    return op;
}

void Engine::report_conflict(const Where& where) {
    const Shadow::Conflict& c = shadow_.conflict();
    std::string text = place_of(where) + ": " + c.what;
    if (c.other < thread_count_) {
        text += " " + threads_[c.other].name + "'s " + (c.other_wrote ? "write" : "access");
        if (c.where.line() != 0) text += " (" + place_of(c.where) + ")";
        text += " of";
    } else {
        text += ":";
    }
    text += " " + memory_.describe(memory_.address(c.flat));
    fail(c.kind, text, where);
}

void Engine::reach(const Op& op, std::uint32_t flat, unsigned bytes, const Where& where) {
    const Footprints::Verdict verdict = options_.sleep_sets
                                            ? footprints_.note(flat, current_, op.writes())
                                            : Footprints::Verdict::shared;
    if (verdict == Footprints::Verdict::learned) end(Outcome::restart);
    // A full fence acts on every word, whoever else knows this one.
    if (verdict == Footprints::Verdict::shared || op.full_fence) {
        stop_before(op);
    } else {
        ++machine_.thread(current_).events;
        count_silent_step(where);
    }
    if (!shadow_.access(flat, bytes, current_, where)) report_conflict(where);
}

unsigned Engine::pick_message(const Op& op) {
    if (machine_.word(op.word).count == 1) return 0;
    machine_.candidates(current_, op, candidates_);
    if (candidates_.count == 1) return candidates_.position[0];
    const unsigned index = search_->pick_message(candidates_);
    record(candidates_.count, index);
    return candidates_.position[index];
}

void Engine::read(const Op& op, unsigned position, Order order) {
    Thread& t = threads_[current_];
    const unsigned id = machine_.word(op.word).order[position];
    machine_.read(current_, op.word, position, order);
    if (id == 0) {
        t.hash = mix(t.hash, machine_.word(op.word).identity);
    } else {
        const Machine::Message& m = machine_.message(op.word, id);
        t.hash = mix(t.hash, std::uint64_t{m.writer} << 32 | m.event);
    }
    if (t.reads < kReadsMax) t.read[t.reads] = static_cast<std::uint32_t>(op.word) << 8 | id;
    t.reads += t.reads <= kReadsMax ? 1 : 0;
}

void Engine::write(const Op& op, unsigned after, std::uint64_t value, Order order, bool updates) {
    machine_.write(current_, op.word, after, value, order, updates);
    ++threads_[current_].writes;
    if (waiting_ != 0 && !options_.resume_waits) cut_if_woken();
}

std::uint64_t Engine::load(std::uint32_t flat, unsigned bytes, Order order, const Where& where) {
    Order unused{};
    const Op op = prepare(Op::Kind::load, flat, bytes, order, unused, Sites::What::load, where);
    reach(op, flat, bytes, where);
    const unsigned position = pick_message(op);
    const unsigned id = machine_.word(op.word).order[position];
    read(op, position, op.order);
    const std::uint64_t value = machine_.value(op.word, id);
    if (tracing_) [[unlikely]] {
        trace(where, flat,
              std::string("load ") + name_of(order) + " = " + memory_.describe_value(value) +
                  describe_source(op, id),
              position);
    }
    return value;
}

void Engine::store(std::uint32_t flat, unsigned bytes, std::uint64_t value, Order order,
                   const Where& where) {
    Order unused{};
    const Op op = prepare(Op::Kind::store, flat, bytes, order, unused, Sites::What::store, where);
    reach(op, flat, bytes, where);
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    unsigned after = 0;
    if (machine_.word(op.word).count > 1 || machine_.word(op.word).initial_taken) {
        machine_.places(current_, op, candidates_);
        after = candidates_.position[decide(candidates_.count, Search::Choice::place)];
    }
    const unsigned behind = machine_.word(op.word).count - 1u - after;
    write(op, after, value, op.order, false);
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    if (tracing_) [[unlikely]] {
        std::string text =
            std::string("store ") + name_of(order) + " " + memory_.describe_value(value);
        if (behind != 0) text += " [before " + std::to_string(behind) + " later]";
        trace(where, flat, text, after);
    }
}

std::uint64_t Engine::update(std::uint32_t flat, unsigned bytes, word::Update kind,
                             std::uint64_t operand, Order order, const Where& where) {
    constexpr Sites::What kWhat[] = {Sites::What::exchange, Sites::What::fetch_add,
                                     Sites::What::fetch_sub};
    constexpr const char* kNames[] = {"exchange ", "fetch_add ", "fetch_sub "};
    Order unused{};
    const Op op = prepare(Op::Kind::update, flat, bytes, order, unused,
                          kWhat[static_cast<unsigned>(kind)], where);
    reach(op, flat, bytes, where);
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    const unsigned position = pick_message(op);
    const unsigned id = machine_.word(op.word).order[position];
    read(op, position, op.order);
    const std::uint64_t old = machine_.value(op.word, id), value = apply(kind, old, operand, bytes);
    write(op, position, value, op.order, true);
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    if (tracing_) [[unlikely]] {
        trace(where, flat,
              std::string(kNames[static_cast<unsigned>(kind)]) + name_of(order) + " " +
                  memory_.describe_value(old) + " -> " + memory_.describe_value(value) +
                  describe_source(op, id),
              position);
    }
    return old;
}

bool Engine::cas(std::uint32_t flat, unsigned bytes, std::uint64_t& expected, std::uint64_t desired,
                 Order success, Order failure, bool weak, const Where& where) {
    Op op = prepare(Op::Kind::cas, flat, bytes, success, failure,
                    weak ? Sites::What::cas_weak : Sites::What::cas_strong, where);
    op.weak = weak;
    op.expected = expected;
    reach(op, flat, bytes, where);
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    const unsigned position = pick_message(op);
    const unsigned id = machine_.word(op.word).order[position];
    const std::uint64_t seen = machine_.value(op.word, id);
    bool done = false, spurious = false;
    if (seen == expected) {
        // Where both are possible it is a choice; where it may not succeed (another
        // read-modify-write took the message), it fails.
        done = machine_.can_succeed(current_, op, position);
        spurious = machine_.can_fail(current_, op, position) &&
                   (!done || decide(2, Search::Choice::spurious) != 0);
        if (spurious) {
            done = false;
            --machine_.thread(current_).spurious_left;
            ++threads_[current_].decisions;
            threads_[current_].hash = mix(threads_[current_].hash, ~std::uint64_t{0});
        }
    }
    read(op, position, done ? op.order : op.failure);
    if (done) {
        write(op, position, desired, op.order, true);
    } else {
        expected = seen;
    }
    if (op.full_fence) machine_.fence(current_, Order::seq_cst);
    if (tracing_) [[unlikely]] {
        std::string text = std::string(weak ? "cas_weak " : "cas_strong ") +
                           name_of(done ? success : failure) + " ";
        text +=
            done ? memory_.describe_value(seen) + " -> " + memory_.describe_value(desired)
                 : (spurious ? "fails spuriously on " : "fails on ") + memory_.describe_value(seen);
        trace(where, flat, text + describe_source(op, id), position);
    }
    return done;
}

void Engine::fence(Order order, const Where& where) {
    Order unused{};
    const Op op = prepare(Op::Kind::fence, 0, 0, order, unused, Sites::What::fence, where);
    if (order == Order::relaxed) return;  // a mutant: no fence at all
    // Only a seq_cst fence touches what threads share.
    if (order == Order::seq_cst && options_.orders != Orders::sc) {
        stop_before(op);
    } else {
        ++machine_.thread(current_).events;
    }
    machine_.fence(current_, order);
    if (tracing_) [[unlikely]]
        trace(where, Memory::kNowhere, std::string("fence ") + name_of(order), 0);
}

void Engine::count_silent_step(const Where& where) {
    if (++silent_steps_ / kSilentPerStep > options_.step_bound)
        fail(Kind::step_bound,
             place_of(where) + ": an endless loop on words that nobody else writes is suspected");
}

void Engine::construct(std::uint32_t flat, unsigned bytes) {
    // The place becomes plain memory; the first atomic access makes it a word again.
    write_plain(flat, bytes, Where{});
}

void Engine::read_plain(std::uint32_t flat, unsigned bytes, const Where& where) {
    count_silent_step(where);
    if (!shadow_.read(flat, bytes, current_, where)) report_conflict(where);
    if (tracing_) [[unlikely]] {
        std::uint64_t value = 0;
        const void* const p = memory_.address(flat);
        std::memcpy(&value, p, bytes < sizeof value ? bytes : sizeof value);
        trace(where, flat, "get = " + memory_.describe_value(value), 1);
    }
}

void Engine::write_plain(std::uint32_t flat, unsigned bytes, const Where& where) {
    count_silent_step(where);
    if (in_child_) [[unlikely]]
        shadow_.forget(flat, bytes);
    if (!shadow_.write(flat, bytes, current_, where, "a write races with")) report_conflict(where);
    memory_.save(memory_.address(flat), bytes);
    if (tracing_) [[unlikely]] {
        trace(where, flat, "set", 2);
        last_set_ = flat;
        last_set_bytes_ = bytes;
    }
}

void Engine::begin(word::Round& round) {
    const Thread& t = threads_[current_];
    round = {t.reads, t.writes, t.decisions};
}

void Engine::retry(word::Round& round, const Where& where) {
    Thread& t = threads_[current_];
    if (!options_.prune_retries || t.writes != round.writes) return begin(round);
    if (tracing_) [[unlikely]]
        trace(where, Memory::kNowhere, "retries", 3);
    end(Outcome::retried);
}

// A thread waits for what is there by now. The execution in which it reads that covers the rest of
// this one.
void Engine::cut_if_woken() {
    for (unsigned rest = waiting_; rest != 0; rest &= rest - 1) {
        if (!is_stuck(threads_[std::countr_zero(rest)])) end(Outcome::retried);
    }
}

void Engine::wait(word::Round& round, const Where& where) {
    Thread& t = threads_[current_];
    if (t.writes != round.writes) return begin(round);
    if (tracing_) [[unlikely]]
        trace(where, Memory::kNowhere, "waits", 4);
    t.state = Thread::State::waiting;
    t.waits_since = round;
    const unsigned bit = 1u << current_;
    waiting_ |= bit;
    if (!options_.resume_waits) {
        cut_if_woken();
        leave_thread();
    }
    situation_.enabled &= ~bit;
    situation_.next[current_] = Op{};
    go_on(pick());
    waiting_ &= ~bit;
    t.state = Thread::State::ready;
    begin(round);
}

std::uint32_t Engine::checked(const void* p, const Where& where) {
    const std::uint32_t flat = memory_.flat(p);
    if (flat != Memory::kNowhere) [[likely]]
        return flat;
    if (!running_->holds(p) && !memory_.is_ghost(p)) {
        fail(Kind::unregistered,
             place_of(where) + ": " + memory_.describe(p) +
                 " lies neither in the arena nor in a watched object",
             where);
    }
    return Memory::kNowhere;
}

void Engine::access_alone(const void* p, unsigned bytes, bool writes) {
    const std::uint32_t flat = memory_.flat(p);
    if (flat == Memory::kNowhere || phase_ == Phase::idle) return;
    if (!shadow_.is_mapped(flat))
        fail(Kind::lifetime, "an access to memory that is not mapped: " + memory_.describe(p));
    if (writes && phase_ == Phase::finally) memory_.save(const_cast<void*>(p), bytes);
}

std::string Engine::describe_source(const Op& op, unsigned message) const {
    const Machine::Word& w = machine_.word(op.word);
    unsigned position = 0;
    while (w.order[position] != message) ++position;
    std::string text = message == 0
                           ? "  (initial"
                           : "  (from " + threads_[machine_.message(op.word, message).writer].name;
    if (const unsigned stale = w.count - 1u - position; stale != 0 && op.kind == Op::Kind::load)
        text += ", stale by " + std::to_string(stale);
    return text + ")";
}

void Engine::complete_trace() {
    if (last_set_ == Memory::kNowhere) return;
    std::uint64_t value = 0;
    std::memcpy(&value, memory_.address(last_set_),
                last_set_bytes_ < sizeof value ? last_set_bytes_ : sizeof value);
    trace_.extend(" = " + memory_.describe_value(value));
    last_set_ = Memory::kNowhere;
}

void Engine::trace(const Where& where, std::uint32_t flat, std::string text, std::uint64_t what) {
    complete_trace();
    if (flat != Memory::kNowhere) text = memory_.describe(memory_.address(flat)) + "  " + text;
    trace_.add(current_, where, std::move(text), flat, what);
}

}  // namespace explorer
