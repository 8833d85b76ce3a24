// stage.cpp: runs histories on the production source, each thread on a stack of its own, under the
// eyes of a state model.
#include "props/states/stage.hpp"

#include "props/kit/shadow_heap.hpp"
#include "props/states/observed.hpp"

namespace states {
namespace {

using kit::kThreads, kit::require;
using W = Observed;

class Stage {
  public:
    Stage() {
        fibers.drop_all();
        in_fork_child = false;
        wrong_at_unlock = nullptr;
        kit::reset_world<W>();
        kit::os.set_lock_check(nullptr);  // it cannot tell whose locks they are
        watch->on_world();
    }
    void step(const Command& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        if (wrong_at_unlock) std::rethrow_exception(std::exchange(wrong_at_unlock, nullptr));
        if (fibers.all_idle_but(fibers.kNobody) && !has_vanished_ && ++steps_ % 4 == 0)
            auditor_.check(kit::Auditor<W>::Scope::everything, false);
    }
    void finish() {
        kit::os.heal();
        fibers.complete_all();
        shadow_.verify_all();
        for (unsigned h = 0; h < kit::kHandles; ++h) apply(kit::Free{{h % kThreads}, {h}});
        for (unsigned t = 0; t < kThreads; ++t) apply(kit::Exit{{t}});
        apply(kit::Trim{{0}, {1}});
        fibers.complete_all();
        if (wrong_at_unlock) std::rethrow_exception(std::exchange(wrong_at_unlock, nullptr));
        if (has_vanished_ || !window.is_open()) return;
        auditor_.check(kit::Auditor<W>::Scope::everything, true);
        require(auditor_.audit().totals().client_blocks == 0, "blocks are out at the end");
    }

  private:
    // The thread's call, on its own stack; as much of it as it may do.
    template <class Call>
    void as(unsigned t, Call call) {
        fibers.complete(t);
        fibers.start(t, std::exchange(pauses_[t], 0), [=] { call(); });
    }
    void done(Operation operation, unsigned t, const void* block = nullptr) {
        const bool is_rest = fibers.all_idle_but(t),
                   is_whole = !std::exchange(has_missed_, !is_rest);
        if (is_rest) watch->on_step(operation, t, block, is_whole);
    }

    void allocate(unsigned t, unsigned h, std::size_t n,
                  std::size_t alignment = hak::kMinAlignment) {
        release(t, h);
        watch->on_begin(kAllocate);
        void* const p = alignment <= hak::kMinAlignment
                            ? hak::allocate<W>(kit::heap_of<W>(t), n)
                            : hak::allocate_aligned<W>(kit::heap_of<W>(t), alignment, n);
        if (p != nullptr && shadow_.is_live(h)) {  // another thread was faster
            done(kAllocate, t, p);
            hak::deallocate<W>(kit::heap_of<W>(t), p);
            return done(kFree, t, p);
        }
        if (p != nullptr) shadow_.add(h, p, n, alignment, false);
        done(kAllocate, t, p);
    }
    void release(unsigned t, unsigned h) {
        if (!shadow_.is_live(h)) return;
        void* const p = shadow_.remove(h);
        watch->on_begin(kFree);
        hak::deallocate<W>(kit::heap_of<W>(t), p);
        done(kFree, t, p);
    }

    void apply(const kit::Malloc& c) {
        as(c.t.v, [=, this] { allocate(c.t.v, c.h.v, c.n.v); });
    }
    void apply(const kit::Aligned& c) {
        as(c.t.v, [=, this] { allocate(c.t.v, c.h.v, c.n.v, std::size_t{1} << c.a.v); });
    }
    void apply(const kit::Free& c) {
        if (!shadow_.is_live(c.h.v)) return;
        as(c.t.v, [=, this] { release(c.t.v, c.h.v); });
    }
    void apply(const kit::Fill& c) {
        as(c.t.v, [=, this] {
            for (unsigned i = 0; i < c.x.v; ++i)
                allocate(c.t.v, (c.h.v + i) % kit::kHandles, c.n.v);
        });
    }
    void apply(const kit::Sweep& c) {
        as(c.t.v, [=, this] {
            for (unsigned i = 0; i < c.x.v; i += c.s.v + 1)
                release(c.t.v, (c.h.v + i) % kit::kHandles);
        });
    }
    void apply(const kit::Exit& c) {
        as(c.t.v, [=, this] {
            watch->on_begin(kEnd);
            if (hak::has_heap<W>(kit::heap_of<W>(c.t.v))) hak::give_up<W>();
            done(kEnd, c.t.v);
        });
    }
    void apply(const kit::Start& c) {
        apply(kit::Exit{c.t});
        fibers.complete(c.t.v);
        kit::threads.all[c.t.v] = {&hak::empty_heap<W>, true, false};
        watch->on_birth(c.t.v);
    }
    void apply(const kit::Trim& c) {
        as(c.t.v, [=, this] {
            watch->on_begin(kTrim);
            hak::trim<W>(c.f.v != 0);
            done(kTrim, c.t.v);
        });
    }
    // Where the child goes on, the other threads are gone, and what they were doing with them.
    void apply(const kit::Fork& c) {
        pauses_[c.t.v] = 0;
        as(c.t.v, [=, this] {
            hak::fork_prepare<W>();
            if (c.child.v == 0) {
                hak::fork_parent<W>();
                return done(kFork, c.t.v);
            }
            for (unsigned j = 0; j < kThreads; ++j) {
                if (j == c.t.v) continue;
                has_vanished_ |= !fibers.is_idle(j);
                has_missed_ |= !fibers.is_idle(j);
                fibers.drop(j);
                pauses_[j] = 0;
            }
            in_fork_child = true;
            hak::fork_child<W>();
            in_fork_child = false;
            for (unsigned j = 0; j < kThreads; ++j) {
                if (j != c.t.v) kit::threads.all[j] = {&hak::empty_heap<W>, true, false};
            }
            done(kFork, c.t.v);
        });
        fibers.complete(c.t.v);
    }
    void apply(const kit::Advance& c) { kit::os.advance(c.m.v); }
    void apply(const kit::FailNext& c) {
        kit::os.fail(static_cast<kit::Call>(c.k.v), c.i.v + 1, false);
    }
    void apply(const kit::Heal&) { kit::os.heal(); }
    void apply(const kit::Hook& c) { kit::threads.all[c.t.v].can_hook = c.f.v != 0; }
    void apply(const Pause& c) { pauses_[c.t.v] = c.i.v + 1; }
    void apply(const Resume& c) { fibers.complete(c.t.v); }

    kit::ShadowHeap<W> shadow_;
    kit::Auditor<W> auditor_;
    std::array<unsigned, kThreads> pauses_{};
    std::uint64_t steps_ = 0;
    // a call ended, or went half of its way, while another one was under way
    bool has_missed_ = false;
    // a call ended half-way in a fork, and frozen heaps are half-changed
    bool has_vanished_ = false;
};

}  // namespace

std::string run(const Commands& commands, Watch& eyes) {
    std::size_t at = 0;
    const auto where = [&] {
        return at < commands.size() ? " at command " + std::to_string(at + 1) + " (" +
                                          kit::text_of(commands[at]) + ")"
                                    : std::string(" at the end");
    };
    watch = &eyes;
    try {
        Stage stage;
        for (; at < commands.size(); ++at) stage.step(commands[at]);
        stage.finish();
    } catch (const kit::Broken& e) {
        return e.what() + where();
    } catch (const kit::ClientFault& f) {
        return std::string("a correct client was reported: ") + hak::text_of(f.fault) + where();
    }
    return {};
}

void require_all_seen(Watch& eyes, bool is_full) {
    eyes.require_all_seen(is_full);
}

}  // namespace states
