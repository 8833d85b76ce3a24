// machine.hpp: runs commands on the production source in a world of its own, and judges every step: content, place, alignment, usable
// size, zero bytes, null only where memory may be refused, conservation through Audit, system calls per step, and at the end
// that everything goes back.
#pragma once

#include "props/kit/census.hpp"
#include "props/kit/room.hpp"
#include "props/kit/shadow_heap.hpp"

namespace kit {

// How often the costly judgements happen; each happens at the end in any case.
struct Rigor {
    unsigned audit_every = 1, verify_every = 8, zero_every = 16;
};

template <hak::World W>
class Machine {
public:
    explicit Machine(Rigor rigor = {}, Pairs* pairs = nullptr) : rigor_(rigor), census_(pairs == nullptr ? own_pairs_ : *pairs), has_census_(pairs != nullptr) {
        reset_world<W>();
    }

    void run(const Commands& commands) {
        for (const Command& c : commands) step(c);
        finish();
    }

    void step(const Command& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        ++steps_;
        if (steps_ % rigor_.audit_every == 0) audit(steps_ % rigor_.zero_every == 0);
        if (steps_ % rigor_.verify_every == 0) shadow_.verify_all();
        if (has_census_) census_.look();
    }

    // Everything freed and trimmed: what stays committed is what frozen heaps hold; the tables are no part of it.
    void finish() {
        os.heal();
        finishing_ = true;
        shadow_.verify_all();
        audit(true);
        judge_stranded();
        for (unsigned h = 0, t = 0; h < kHandles; ++h) {
            if (shadow_.is_live(h)) free_block(t++ % kThreads, h);
        }
        // A trim may post blocks of one thread's lists to another thread's slabs, so each gets a second turn.
        for (unsigned round = 0; round < 2; ++round) {
            for (unsigned t = 0; t < kThreads; ++t) trim(t, true);
        }
        audit(true);
        judge_footprint("after each thread trimmed");
        for (unsigned t = 0; t < kThreads; ++t) apply(Exit{{t}});
        trim(0, true);
        audit(true);
        judge_footprint("after all threads ended");
    }

    const ShadowHeap<W>& shadow() const { return shadow_; }
    // How often the allocator said that there is no memory.
    std::uint64_t nulls() const { return nulls_; }
    Auditor<W>& auditor() { return auditor_; }

    void audit(bool read_zero) {
        const hak::Slab<W>* in_flight[kThreads];
        unsigned count = 0;
        for (const hak::Slab<W>* slab : debts_) {
            if (slab != nullptr) in_flight[count++] = slab;
        }
        auditor_.check(Auditor<W>::Scope::everything, read_zero, in_flight, count);
        if (hak::window<W>.is_open()) shadow_.reconcile(auditor_.audit());
    }

private:
    static constexpr std::uint64_t kBudget = 700;  // a trim may return every unit of the window by itself
    using Heap = hak::Heap<W>;

    // Thread t calls the allocator next.
    Heap* be(unsigned t) {
        os.begin_step(finishing_ ? FakeOs::kNoBudget : kBudget);
        threads.current = t;
        if (hak::Slab<W>* const slab = std::exchange(debts_[t], nullptr)) {
            Heap* const owner = slab->owner.load(hak::order::relaxed);
            require(owner == owners_[t], "remote.4: the owner of a slab changed while queued was set");
            hak::push_pending(owner->pending, slab);
        }
        return heap_of<W>(t);
    }

    template <class Allocate>
    void allocate(unsigned t, unsigned h, std::size_t n, std::size_t alignment, bool zero, Allocate call) {
        if (shadow_.is_live(h)) free_block(t, h);
        void* const p = call(be(t));
        if (p == nullptr) return judge_null(n, alignment);
        shadow_.add(h, p, n, alignment, zero);
    }
    void free_block(unsigned t, unsigned h) {
        void* const p = shadow_.remove(h);
        hak::deallocate<W>(be(t), p);
    }
    void trim(unsigned t, bool decommit) {
        be(t);
        hak::trim<W>(decommit);
    }

    void apply(const Malloc& c) {
        allocate(c.t.v, c.h.v, c.n.v, hak::kMinAlignment, false, [&](Heap* heap) { return hak::allocate<W>(heap, c.n.v); });
    }
    void apply(const Calloc& c) {
        allocate(c.t.v, c.h.v, c.n.v, hak::kMinAlignment, true, [&](Heap* heap) { return hak::allocate_zeroed<W>(heap, c.n.v); });
    }
    void apply(const Aligned& c) {
        const std::size_t a = std::size_t{1} << c.a.v;
        allocate(c.t.v, c.h.v, c.n.v, a, false, [&](Heap* heap) { return hak::allocate_aligned<W>(heap, a, c.n.v); });
    }
    void apply(const Realloc& c) {
        const unsigned h = c.h.v;
        if (!shadow_.is_live(h)) return apply(Malloc{c.t, c.h, c.n});
        const std::size_t n = c.n.v == 0 ? 1 : c.n.v;  // realloc(p, 0) is a free, decided above the core
        shadow_.verify(h);
        void* const p = hak::reallocate<W>(be(c.t.v), hak::pointer_to<void>(shadow_.at(h).p), n);
        if (p != nullptr) return shadow_.replace(h, p, n);
        shadow_.verify(h);
        shadow_.verify_usable(h);
        judge_null(n, hak::kMinAlignment);
    }
    void apply(const Free& c) {
        if (shadow_.is_live(c.h.v)) return free_block(c.t.v, c.h.v);
        hak::deallocate<W>(be(c.t.v), nullptr);
    }
    void apply(const Usable& c) {
        if (shadow_.is_live(c.h.v)) shadow_.verify_usable(c.h.v);
    }
    void apply(const Fill& c) {
        for (unsigned i = 0; i < c.x.v; ++i) apply(Malloc{c.t, {(c.h.v + i) % kHandles}, c.n});
    }
    void apply(const Sweep& c) {
        for (unsigned i = 0; i < c.x.v; i += c.s.v + 1) {
            const unsigned h = (c.h.v + i) % kHandles;
            if (shadow_.is_live(h)) free_block(c.t.v, h);
        }
    }
    // The hook of a thread that never got a heap was never armed.
    void apply(const Exit& c) {
        if (be(c.t.v) != &hak::empty_heap<W>) hak::give_up<W>();
    }
    void apply(const Start& c) {
        apply(Exit{c.t});
        threads.all[c.t.v] = {&hak::empty_heap<W>, true, false};
    }
    void apply(const Trim& c) {
        trim(c.t.v, c.f.v != 0);
        if (c.f.v == 0 || os.failed_in_step() != 0) return;
        audit(false);
        require(auditor_.audit().totals().spare_slots == 0, "a trim left free slots committed that it may decommit");
    }
    void apply(const Advance& c) { os.advance(c.m.v); }
    void apply(const FailNext& c) { os.fail(static_cast<Call>(c.k.v), c.i.v + 1, false); }
    void apply(const FailAll& c) { os.fail(static_cast<Call>(c.k.v), 1, true); }
    void apply(const Heal&) { os.heal(); }
    void apply(const Hook& c) { threads.all[c.t.v].can_hook = c.f.v != 0; }

    void apply(const Fork& c) {
        const unsigned t = c.t.v;
        be(t);
        hak::fork_prepare<W>();
        if (c.allocate.v != 0) allocate_while_forking();
        if (c.child.v == 0) return hak::fork_parent<W>();
        hak::fork_child<W>();
        for (unsigned j = 0; j < kThreads; ++j) {
            if (j == t) continue;
            const Heap* const heap = heap_of<W>(j);
            if (hak::has_heap<W>(heap)) {
                require(heap->token.load(hak::order::relaxed) == hak::Token::frozen, "the heap of a thread that vanished is not frozen");
            }
            threads.all[j] = {&hak::empty_heap<W>, true, false};
            debts_[j] = nullptr;  // it vanished between its CAS and its push
        }
    }

    void apply(const Post& c) {
        if (!shadow_.is_live(c.h.v)) return;
        hak::Slab<W>* const record = hak::window<W>.slab_of(shadow_.at(c.h.v).p);
        if (record->state.load(hak::order::relaxed) != hak::UnitState::slab) return;
        hak::Slab<W>* const slab = hak::window<W>.head_record(record);
        if (slab->owner.load(hak::order::relaxed) == be(c.t.v)) return;
        auto* const b = static_cast<hak::Block<W>*>(shadow_.remove(c.h.v));
        if (!hak::post<W>(*slab, b, hak::window<W>.secret())) return;
        debts_[c.t.v] = slab;
        owners_[c.t.v] = slab->owner.load(hak::order::relaxed);
    }
    void apply(const Push& c) { be(c.t.v); }
    void apply(const Collect& c) {
        Heap* const heap = be(c.t.v);
        if (hak::has_heap<W>(heap)) hak::collect_pending(*heap);
    }

    // The forking thread holds every lock and passes through each.
    void allocate_while_forking() {
        const unsigned t = threads.current;
        for (const std::size_t n : {std::size_t{24}, std::size_t{200}, std::size_t{2000}, std::size_t{9000}}) {
            void* const p = hak::allocate<W>(heap_of<W>(t), n);
            if (p == nullptr) {
                judge_null(n, hak::kMinAlignment);
                continue;
            }
            Pattern::write(hak::address_of(p), n, 1);
            hak::deallocate<W>(heap_of<W>(t), p);
        }
    }

    template <class Call>
    void expect_fault(const char* what, std::initializer_list<hak::Fault> right, Call call) {
        try {
            call();
        } catch (const ClientFault& f) {
            require(std::find(right.begin(), right.end(), f.fault) != right.end(), what, ": reported as ", hak::text_of(f.fault));
            return;
        }
        broken(what, ": not noticed");
    }
    // What a client must not do is noticed before anything has changed, so the history goes on.
    void apply(const Misuse& c) {
        using hak::Fault;
        const unsigned h = c.h.v;
        Heap* const heap = be(c.t.v);
        int on_stack = 0;
        void* foreign = &on_stack;
        asm volatile("" : "+r"(foreign));  // the compiler must not see that the block behind it would be too small
        if (c.o.v == 3) return expect_fault("free of a foreign address", {Fault::foreign}, [&] { hak::deallocate<W>(heap, foreign); });
        if (!shadow_.is_live(h)) return;
        const hak::Address p = shadow_.at(h).p;
        const auto at = [&](std::size_t offset) { return hak::pointer_to<void>(p + offset); };
        switch (c.o.v) {
            case 0:
                free_block(c.t.v, h);
                return expect_fault("free after free", {Fault::double_free, Fault::not_allocated, Fault::interior},
                                    [&] { hak::deallocate<W>(be((c.t.v + 1) % kThreads), at(0)); });
            case 1:
                if (shadow_.at(h).usable <= 16) return;
                return expect_fault("free inside a block", {Fault::interior, Fault::not_allocated}, [&] { hak::deallocate<W>(heap, at(16)); });
            case 2:
                return expect_fault("free of a misaligned address", {Fault::misaligned}, [&] { hak::deallocate<W>(heap, at(8)); });
            case 4:
                free_block(c.t.v, h);
                return expect_fault("realloc after free", {Fault::double_free, Fault::not_allocated, Fault::interior},
                                    [&] { hak::reallocate<W>(heap_of<W>(c.t.v), at(0), 40); });
            default:
                return expect_fault("usable size inside a block", {Fault::misaligned}, [&] { hak::usable_size<W>(at(8)); });
        }
    }

    // Null needs a reason: a call that failed, no heap left, or no free run that fits even after the thread gave back all it could.
    void judge_null(std::size_t n, std::size_t alignment) {
        ++nulls_;
        if (os.failed_in_step() != 0) return;
        require(hak::window<W>.is_open(), "null without a reason, before the window was open");
        const hak::Heap<W>* const heap = heap_of<W>(threads.current);
        const bool small = hak::Classes<W>::class_of_aligned(n, alignment) < hak::Classes<W>::kCount;
        if (small && !hak::has_heap(heap) && hak::heaps<W>.count() == hak::window<W>.heaps_max() && hak::heaps<W>.orphans() == 0) return;
        trim(threads.current, true);
        if (small && hak::has_heap(heap)) {
            const auto c = hak::Classes<W>::class_of_aligned(n, alignment);
            require(heap->partial[c].get() == nullptr, "null for ", n, " bytes though a slab of the heap has room");
        }
        const bool fits = small ? has_units<W>(hak::Classes<W>::kShapes[hak::Classes<W>::class_of_aligned(n, alignment)].units) : has_room_above_small<W>(n, alignment);
        require(!fits, "null for ", n, " bytes aligned to ", alignment, " though no call failed and there is room");
    }
    // Somebody tends all heaps, then every thread that has a heap comes by once: no posted block is left but in frozen heaps.
    void judge_stranded() {
        if (!hak::window<W>.is_open()) return;
        for (unsigned t = 0; t < kThreads; ++t) be(t);
        hak::tend_all<W>(true);
        for (unsigned t = 0; t < kThreads; ++t) apply(Collect{{t}});
        audit(false);
        require(auditor_.audit().totals().remote_blocks == 0, auditor_.audit().totals().remote_blocks, " posted blocks are stranded");
    }
    void judge_footprint(const char* when) {
        if (!hak::window<W>.is_open()) return;
        require(shadow_.live() == 0, "blocks are live at the end");
        const auto counters = hak::pool<W>.counters();
        const hak::AuditTotals& t = auditor_.audit().totals();
        require(counters.used_units == t.frozen_units, when, ": ", counters.used_units, " units are in use, frozen heaps have ", t.frozen_units);
        require(counters.big_slots == 0, when, ": ", counters.big_slots, " slots of Big blocks");
        const std::uint64_t kept = counters.committed_slots - counters.units_slots;
        require(kept == 0 || (t.frozen_units != 0 && kept == t.clean_slots && t.spare_slots == 0), when, ": ", kept, " free slots stay committed (",
                t.clean_slots, " for want of islands, ", t.spare_slots, " without need)");
        const std::size_t committed = os.committed_bytes(hak::pointer_to<void>(hak::window<W>.base()), hak::window<W>.bytes());
        require(committed == counters.committed_slots * kTinyConfig.superslab_bytes(), when, ": the system says ", committed, " bytes are committed, the pool says ",
                counters.committed_slots, " slots");
    }

    Rigor rigor_;
    Pairs own_pairs_;
    UnitCensus<W> census_;
    bool has_census_, finishing_ = false;
    ShadowHeap<W> shadow_;
    Auditor<W> auditor_;
    std::uint64_t steps_ = 0, nulls_ = 0;
    std::array<hak::Slab<W>*, kThreads> debts_{};  // slabs whose queued bit the thread has set and not pushed yet
    std::array<hak::Heap<W>*, kThreads> owners_{};
};

// Runs a history from the start of a world. Empty text: all is well; else what was wrong, and at which command.
template <hak::World W>
std::string run_history(const Commands& commands, Rigor rigor = {}, Pairs* pairs = nullptr) {
    std::size_t at = 0;
    const auto where = [&] { return at < commands.size() ? " at command " + std::to_string(at + 1) + " (" + text_of(commands[at]) + ")" : std::string(" at the end"); };
    try {
        Machine<W> machine(rigor, pairs);
        for (; at < commands.size(); ++at) machine.step(commands[at]);
        machine.finish();
    } catch (const Broken& e) {
        return e.what() + where();
    } catch (const ClientFault& f) {
        return std::string("a correct client was reported: ") + hak::text_of(f.fault) + where();
    }
    return {};
}

}  // namespace kit
