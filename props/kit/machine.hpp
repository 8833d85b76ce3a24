// machine.hpp: runs commands on the production source in a world of its own, and judges every step:
// content, place, alignment, usable size, zero bytes, errno, null only where memory may be refused,
// conservation through Audit, what is committed, statistics, system calls per step, and at the end
// that everything goes back.
#pragma once

#include "props/kit/capacity.hpp"
#include "props/kit/client.hpp"
#include "props/kit/isolate.hpp"
#include "props/kit/state_coverage.hpp"
#include "statistics/statistics.hpp"

namespace kit {

// How often the costly judgements happen; each happens at the end in any case.
struct Rigor {
    unsigned audit_every = 1, verify_every = 8, zero_every = 16;
};

template <hak::World W>
class Machine {
  public:
    // `rest` goes on with the history behind the command that runs, and says what was wrong;
    // without it a fork has one side.
    explicit Machine(Rigor rigor = {}, Pairs* pairs = nullptr,
                     std::function<std::string()> rest = nullptr)
        : rigor_(rigor),
          census_(pairs == nullptr ? own_pairs_ : *pairs),
          has_census_(pairs != nullptr),
          rest_(std::move(rest)) {
        begin_process();
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

    // Everything freed and trimmed: what stays committed is what frozen heaps hold; the tables are
    // no part of it.
    void finish() {
        os.heal();
        finishing_ = true;
        shadow_.verify_all();
        audit(true);
        judge_stranded();
        for (unsigned h = 0, t = 0; h < kHandles; ++h) {
            if (shadow_.is_live(h)) free_block(t++ % kThreads, h);
        }
        // A trim may post blocks of one thread's lists to another thread's slabs, so each gets a
        // second turn.
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

    // Blocks came and went past the machine's commands.
    void note_other_clients() { above_small_ = hak::collect_stats<W>().above_small; }

    const ShadowHeap<W>& shadow() const { return shadow_; }
    // How often the allocator said that there is no memory.
    std::uint64_t nulls() const { return nulls_; }
    Auditor<W>& auditor() { return auditor_; }

    void audit(bool read_zero) {
        const hak::UnitRecord<W>* in_flight[kThreads];
        unsigned count = 0;
        for (const hak::UnitRecord<W>* slab : debts_) {
            if (slab != nullptr) in_flight[count++] = slab;
        }
        auditor_.check(Auditor<W>::Scope::everything, read_zero, in_flight, count);
        judge_threads();
        if (!hak::window<W>.is_open()) return;
        shadow_.reconcile(auditor_.audit());
        judge_statistics();
    }

  private:
    // a trim may return every unit of the window by itself
    static constexpr std::uint64_t kBudget = 700;
    static constexpr unsigned kChildMs = 10000;  // of processor time; a history takes a few
    using Heap = hak::Heap<W>;
    using Api = Client<W>;
    using C = typename Api::C;

    void begin_process() {
        reset_world<W>();
        Api::set_handler(false);
        shadow_ = {};
        debts_ = {};
        has_ended_ = {};
        above_small_ = 0;
        finishing_ = false;
        census_.forget();
    }

    // Thread t calls the allocator next.
    Heap* be(unsigned t) {
        os.begin_step(finishing_ ? FakeOs::kNoBudget : kBudget);
        threads.current = t;
        if (hak::UnitRecord<W>* const slab = std::exchange(debts_[t], nullptr)) {
            Heap* const owner = slab->owner.load(hak::order::relaxed);
            require(owner == owners_[t],
                    "remote.4: the owner of a slab changed while queued was set");
            hak::push_pending(owner->pending, slab);
        }
        return heap_of<W>(t);
    }

    // What was asked for: alignment 0 is none.
    struct Asked {
        std::size_t bytes, alignment = 0;
        bool zero = false;
        hak::Origin origin = hak::Origin::malloc;
    };
    template <class Call>
    void allocate(unsigned t, unsigned h, const Asked& asked, Call call) {
        if (shadow_.is_live(h)) free_block(t, h);
        be(t);
        void* const p = call();
        if (p == nullptr)
            return judge_null(asked.bytes, std::max(asked.alignment, hak::kMinAlignment));
        shadow_.add(h, p, asked.bytes, asked.alignment, asked.zero, asked.origin);
        count_above_small(p);
    }
    // As above, of a function that sets errno.
    template <class Call>
    void c_allocate(unsigned t, unsigned h, const Asked& asked, Call call) {
        allocate(t, h, asked, [&] { return Api::get(ENOMEM, call); });
    }
    void allocate_at(unsigned t, unsigned h, std::size_t n, hak::Address site) {
        c_allocate(t, h, {n}, [&] { return C::alloc_at(n, hak::pointer_to<const void>(site)); });
        if (shadow_.is_live(h)) shadow_.say_site(h, site);
    }
    // realloc of a block from malloc's family, and of null where there is none.
    template <class Call>
    void resize(unsigned t, unsigned h, std::size_t n, Call call) {
        if (!shadow_.is_live(h) || shadow_.at(h).origin != hak::Origin::malloc)
            return c_allocate(t, h, {n}, [&] { return call(nullptr); });
        if (n == 0) {
            void* const p = shadow_.remove(h);
            be(t);
            return Api::run(
                [&] { require(call(p) == nullptr, "realloc to no bytes gave a block"); });
        }
        shadow_.verify(h);
        void* const was = hak::pointer_to<void>(shadow_.at(h).p);
        be(t);
        void* const p = Api::get(ENOMEM, [&] { return call(was); });
        if (p != nullptr) {
            shadow_.replace(h, p, n);
            if (p != was) count_above_small(p);
            return;
        }
        shadow_.verify(h);
        shadow_.verify_usable(h);
        judge_null(n, hak::kMinAlignment);
    }
    void free_block(unsigned t, unsigned h, bool says_size = false) {
        const ShadowBlock was = shadow_.at(h);
        void* const p = shadow_.remove(h);
        be(t);
        Api::free(p, was, says_size);
    }
    void trim(unsigned t, bool decommit) {
        be(t);
        if (!decommit) return hak::trim<W>(false);
        const std::uint64_t before = os.count(Call::purge) + os.count(Call::decommit);
        int returned = 0;
        Api::run([&] { returned = C::malloc_trim(0); });
        if (os.failed_in_step() != 0) return;
        require((returned != 0) == (os.count(Call::purge) + os.count(Call::decommit) != before),
                "malloc_trim returned ", returned);
    }
    void count_above_small(const void* p) {
        above_small_ +=
            hak::window<W>.record_of(hak::address_of(p))->state.load(hak::order::relaxed) !=
            hak::UnitState::slab;
    }

    void apply(const Malloc& c) {
        c_allocate(c.t.v, c.h.v, {c.n.v}, [&] { return C::malloc(c.n.v); });
    }
    void apply(const Calloc& c) {
        c_allocate(c.t.v, c.h.v, {c.n.v, 0, true}, [&] { return C::calloc(1, c.n.v); });
    }
    void apply(const Aligned& c) {
        const std::size_t a = std::size_t{1} << c.a.v;
        c_allocate(c.t.v, c.h.v, {c.n.v, a}, [&] { return C::memalign(a, c.n.v); });
    }
    void apply(const Placed& c) {
        const std::size_t n = c.n.v, page = FakeOs::kPage, b = c.b.v;
        if (c.o.v >= 12) return allocate_at(c.t.v, c.h.v, n, c.o.v);
        switch (c.o.v % 4) {
            case 0:
                return c_allocate(c.t.v, c.h.v, {n, std::bit_ceil(b)},
                                  [&] { return C::memalign(b, n); });
            case 1:
                if (hak::is_power_of_two(b) && b >= sizeof(void*))
                    return allocate(c.t.v, c.h.v, {n, b}, [&] { return Api::get_posix(b, n); });
                be(c.t.v);
                return require(Api::get_posix(b, n) == nullptr,
                               "posix_memalign takes an alignment of ", b);
            case 2:
                return c_allocate(c.t.v, c.h.v, {n, page}, [&] { return C::valloc(n); });
            default:
                return c_allocate(c.t.v, c.h.v, {hak::align_up(n, page), page},
                                  [&] { return C::pvalloc(n); });
        }
    }
    void apply(const New& c) {
        const Asked asked{
            c.n.v, (c.o.v & 4) != 0 ? std::size_t{1} << c.a.v : 0, false,
            (c.o.v & 1) != 0 ? hak::Origin::operator_new_array : hak::Origin::operator_new};
        allocate(c.t.v, c.h.v, asked, [&] {
            return Api::get_new(asked.bytes, asked.alignment, asked.origin, (c.o.v & 2) == 0);
        });
    }
    void apply(const Realloc& c) {
        resize(c.t.v, c.h.v, c.n.v, [&](void* p) { return C::realloc(p, c.n.v); });
    }
    void apply(const ReallocArray& c) {
        resize(c.t.v, c.h.v, c.x.v * std::size_t{c.n.v},
               [&](void* p) { return C::reallocarray(p, c.x.v, c.n.v); });
    }
    void apply(const Wild& c) {
        const bool has_block =
            shadow_.is_live(c.h.v) && shadow_.at(c.h.v).origin == hak::Origin::malloc;
        be(c.t.v);
        require(Api::ask_too_much(c.o.v, has_block ? hak::pointer_to<void>(shadow_.at(c.h.v).p)
                                                   : nullptr) == nullptr,
                "a block of a size that no system has");
        if (shadow_.is_live(c.h.v)) shadow_.verify(c.h.v), shadow_.verify_usable(c.h.v);
    }
    void apply(const Handler& c) { Api::set_handler(c.f.v != 0); }
    void apply(const Free& c) {
        if (shadow_.is_live(c.h.v)) return free_block(c.t.v, c.h.v);
        be(c.t.v);
        Api::free(nullptr, {}, false);
    }
    void apply(const FreeSized& c) {
        if (shadow_.is_live(c.h.v)) return free_block(c.t.v, c.h.v, true);
        be(c.t.v);
        Api::free(nullptr, {}, true);
    }
    void apply(const Usable& c) {
        if (shadow_.is_live(c.h.v)) return shadow_.verify_usable(c.h.v);
        require(C::malloc_usable_size(nullptr) == 0, "null has a usable size");
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
        if (be(c.t.v) == &hak::empty_heap<W>) return;
        hak::give_up<W>();
        has_ended_[c.t.v] = true;
    }
    void apply(const Start& c) {
        apply(Exit{c.t});
        begin_thread(c.t.v);
    }
    void begin_thread(unsigned t) {
        threads.all[t] = {&hak::empty_heap<W>, true, false};
        has_ended_[t] = false;
    }
    void apply(const Trim& c) {
        trim(c.t.v, c.f.v != 0);
        if (c.f.v == 0 || os.failed_in_step() != 0) return;
        audit(false);
        require(auditor_.audit().totals().spare_slots == 0,
                "a trim left free slots committed that it may decommit");
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
        be_child(t);
    }
    void be_child(unsigned t) {
        hak::fork_child<W>();
        for (unsigned j = 0; j < kThreads; ++j) {
            if (j == t) continue;
            const Heap* const heap = heap_of<W>(j);
            if (hak::has_heap<W>(heap)) {
                require(heap->token.load(hak::order::relaxed) == hak::Token::frozen,
                        "the heap of a thread that vanished is not frozen");
            }
            begin_thread(j);
            debts_[j] = nullptr;  // it vanished between its CAS and its push
        }
    }

    // The parent goes on when the child has ended.
    void apply(const Split& c) {
        be(c.t.v);
        hak::fork_prepare<W>();
        if (!rest_) return be_child(c.t.v);
        // one split in a history
        const std::function<std::string()> rest = std::exchange(rest_, nullptr);
        const std::string wrong = isolated(kChildMs, [&] { return be_child(c.t.v), rest(); });
        require(wrong.empty(), "in the child: ", wrong);
        hak::fork_parent<W>();
    }

    // Everything of the old process is judged before the new one begins.
    void apply(const Option& c) {
        finish();
        hak::Tunables next = options;
        const std::size_t superslabs = c.s.v * kTinyConfig.superslab_bytes();
        switch (c.o.v % 7) {
            case 0:
                next.purge_delay_ms = c.s.v * 50;
                break;
            case 1:
                next.decommit_delay_ms = c.s.v * 100;
                break;
            case 2:
                next.cache_bytes_max = superslabs;
                break;
            case 3:
                next.batch_threshold = superslabs / 4;
                break;
            case 4:
                next.batch_bytes_max = superslabs;
                break;
            case 5:
                next.huge_pages = c.s.v % 2 != 0;
                break;
            default:
                next.window_bytes = kTinyConfig.window_bytes_min * (1 + c.s.v % 4);
        }
        begin_process();
        options = next;
    }

    void apply(const Post& c) {
        if (!shadow_.is_live(c.h.v)) return;
        hak::UnitRecord<W>* const record = hak::window<W>.record_of(shadow_.at(c.h.v).p);
        if (record->state.load(hak::order::relaxed) != hak::UnitState::slab) return;
        hak::UnitRecord<W>* const slab = hak::window<W>.head_record(record);
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
        for (const std::size_t n :
             {std::size_t{24}, std::size_t{200}, std::size_t{2000}, std::size_t{9000}}) {
            void* const p = hak::allocate<W>(heap_of<W>(t), n);
            if (p == nullptr) {
                judge_null(n, hak::kMinAlignment);
                continue;
            }
            count_above_small(p);
            Pattern::write(hak::address_of(p), n, 1);
            hak::deallocate<W>(heap_of<W>(t), p);
        }
    }

    template <class Call>
    void expect_fault(const char* what, std::initializer_list<hak::Fault> right, Call call) {
        try {
            call();
        } catch (const ClientFault& f) {
            require(std::find(right.begin(), right.end(), f.fault) != right.end(), what,
                    ": reported as ", hak::text_of(f.fault));
            return;
        }
        broken(what, ": not noticed");
    }
    // What a client must not do is noticed before anything has changed, so the history goes on.
    void apply(const Misuse& c) {
        using hak::Fault;
        const unsigned h = c.h.v;
        be(c.t.v);
        int on_stack = 0;
        void* foreign = &on_stack;
        // the compiler must not see that the block behind it would be too small
        asm volatile("" : "+r"(foreign));
        if (c.o.v == 3)
            return expect_fault("free of a foreign address", {Fault::foreign},
                                [&] { C::free(foreign); });
        if (!shadow_.is_live(h)) return;
        const hak::Address p = shadow_.at(h).p;
        const auto at = [&](std::size_t offset) { return hak::pointer_to<void>(p + offset); };
        switch (c.o.v) {
            case 0:
                free_block(c.t.v, h);
                return expect_fault("free after free",
                                    {Fault::double_free, Fault::not_allocated, Fault::interior},
                                    [&] { be((c.t.v + 1) % kThreads), C::free(at(0)); });
            case 1:
                if (shadow_.at(h).usable <= 16) return;
                return expect_fault("free inside a block", {Fault::interior, Fault::not_allocated},
                                    [&] { C::free(at(16)); });
            case 2:
                return expect_fault("free of a misaligned address", {Fault::misaligned},
                                    [&] { C::free(at(8)); });
            case 4:
                free_block(c.t.v, h);
                return expect_fault("realloc after free",
                                    {Fault::double_free, Fault::not_allocated, Fault::interior},
                                    [&] { C::realloc(at(0), 40); });
            default:
                return expect_fault("usable size inside a block", {Fault::misaligned},
                                    [&] { C::malloc_usable_size(at(8)); });
        }
    }

    // Null needs a reason: a call that failed, no heap left, or no free run that fits even after
    // the thread gave back all it could.
    void judge_null(std::size_t n, std::size_t alignment) {
        ++nulls_;
        if (os.failed_in_step() != 0) return;
        require(hak::window<W>.is_open(), "null without a reason, before the window was open");
        const hak::Heap<W>* const heap = heap_of<W>(threads.current);
        const bool small =
            hak::Classes<W>::class_of_aligned(n, alignment) < hak::Classes<W>::kCount;
        if (small && !hak::has_heap(heap) && hak::heaps<W>.count() == hak::window<W>.heaps_max() &&
            hak::heaps<W>.orphans() == 0)
            return;
        trim(threads.current, true);
        if (small && hak::has_heap(heap)) {
            const auto c = hak::Classes<W>::class_of_aligned(n, alignment);
            require(heap->partial[c].get() == nullptr, "null for ", n,
                    " bytes though a slab of the heap has room");
        }
        const bool fits =
            small ? has_units<W>(
                        hak::Classes<W>::kShapes[hak::Classes<W>::class_of_aligned(n, alignment)]
                            .units)
                  : has_room_above_small<W>(n, alignment);
        require(!fits, "null for ", n, " bytes aligned to ", alignment,
                " though no call failed and there is room");
    }
    void judge_threads() const {
        for (unsigned t = 0; t < kThreads; ++t) {
            if (!hak::has_heap<W>(heap_of<W>(t))) continue;
            require(threads.all[t].hooked, "thread ", t,
                    " keeps a heap, and nothing will end that");
            require(!has_ended_[t], "thread ", t, " got a heap after its end");
        }
    }
    // What hak_stats and mallinfo2 say, against the system's books and the client's.
    void judge_statistics() {
        const struct hak_stats s = hak::collect_stats<W>();
        const struct mallinfo2 m = hak::info_of<W>(s);
        const std::size_t committed = os.committed_bytes(
            hak::pointer_to<void>(hak::window<W>.base()), hak::window<W>.bytes());
        require(s.committed_bytes == committed, "hak_stats: ", s.committed_bytes,
                " bytes are committed, the system says ", committed);
        require(s.above_small == above_small_, "hak_stats: ", s.above_small,
                " blocks above small were handed out, the client got ", above_small_);
        require(s.slabs == auditor_.audit().totals().slabs, "hak_stats: ", s.slabs,
                " slabs, there are ", auditor_.audit().totals().slabs);
        require(s.slab_opens - s.slab_releases == s.slabs, "hak_stats: ", s.slab_opens,
                " slabs opened, ", s.slab_releases, " released, ", s.slabs, " left");
        require(m.arena + m.hblkhd == committed && m.uordblks + m.fordblks == committed,
                "mallinfo2 does not add up to what is committed");
        require(m.uordblks >= shadow_.usable_bytes(), "mallinfo2: ", m.uordblks,
                " bytes in use, the client has ", shadow_.usable_bytes());
    }
    // Somebody visits all heaps, then every thread that has a heap comes by once: no posted block
    // is left but in frozen heaps.
    void judge_stranded() {
        if (!hak::window<W>.is_open()) return;
        for (unsigned t = 0; t < kThreads; ++t) be(t);
        hak::visit_all<W>(true);
        for (unsigned t = 0; t < kThreads; ++t) apply(Collect{{t}});
        audit(false);
        require(auditor_.audit().totals().remote_blocks == 0,
                auditor_.audit().totals().remote_blocks, " posted blocks are stranded");
    }
    void judge_footprint(const char* when) {
        if (!hak::window<W>.is_open()) return;
        require(shadow_.live() == 0, "blocks are live at the end");
        const auto counters = hak::pool<W>.counters();
        const hak::AuditTotals& t = auditor_.audit().totals();
        require(counters.used_units == t.frozen_units, when, ": ", counters.used_units,
                " units are in use, frozen heaps have ", t.frozen_units);
        require(counters.big_slots == 0, when, ": ", counters.big_slots, " slots of Big blocks");
        const std::uint64_t kept = counters.committed_slots - counters.units_slots;
        require(kept == 0 || (t.frozen_units != 0 && kept == t.clean_slots && t.spare_slots == 0),
                when, ": ", kept, " free slots stay committed (", t.clean_slots,
                " for want of committed runs, ", t.spare_slots, " without need)");
    }

    Rigor rigor_;
    Pairs own_pairs_;
    UnitStateCoverage<W> census_;
    bool has_census_, finishing_ = false;
    ShadowHeap<W> shadow_;
    Auditor<W> auditor_;
    std::function<std::string()> rest_;
    std::uint64_t steps_ = 0, nulls_ = 0, above_small_ = 0;
    // slabs whose queued bit the thread has set and not pushed yet
    std::array<hak::UnitRecord<W>*, kThreads> debts_{};
    std::array<hak::Heap<W>*, kThreads> owners_{};
    std::array<bool, kThreads> has_ended_{};
};

// Runs a history from the start of a world. Empty text: all is well; else what was wrong, and at
// which command. `both_sides`: a split is one, in two processes.
template <hak::World W>
std::string run_history(const Commands& commands, Rigor rigor = {}, Pairs* pairs = nullptr,
                        bool both_sides = false) {
    std::size_t at = 0;
    const auto judged = [&](auto run) -> std::string {
        const auto where = [&] {
            return at < commands.size() ? " at command " + std::to_string(at + 1) + " (" +
                                              text_of(commands[at]) + ")"
                                        : std::string(" at the end");
        };
        try {
            run();
        } catch (const Broken& e) {
            return e.what() + where();
        } catch (const ClientFault& f) {
            return std::string("a correct client was reported: ") + hak::text_of(f.fault) + where();
        }
        return {};
    };
    Machine<W>* running = nullptr;
    const auto go_on = [&] {
        for (; at < commands.size(); ++at) running->step(commands[at]);
        running->finish();
    };
    return judged([&] {
        const auto rest = [&] { return judged([&] { ++at, go_on(); }); };
        Machine<W> machine(rigor, pairs, both_sides ? std::function<std::string()>(rest) : nullptr);
        running = &machine;
        go_on();
    });
}

}  // namespace kit
