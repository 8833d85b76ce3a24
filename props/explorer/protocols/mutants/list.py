"""Defects of the protocols between threads, as changes of statements of src/, each with the
scenario that must find it.

A change is (file, statements, what stands there instead), or the same for an expression with True
behind it. The identifiers M01 to M16 are those of the catalogue of known bugs of allocators that
the defect is modelled on, where there is one.
"""

REMOTE, SLABS, TEND = "mem/remote_list.hpp", "heap/slabs.hpp", "heap/tend.hpp"
HEAPS, FORK, LOCK, WINDOW = "heap/heaps.hpp", "heap/fork.hpp", "sys/lock.hpp", "mem/window.hpp"
RECLAIM, LEARNER = "mem/reclaim.hpp", "policy/learner.hpp"

POST = (
    "if (slab.remote.cas_weak(seen, address_of(b) | kQueued, order::acq_rel, order::relaxed))"
    " return (seen & kQueued) == 0;"
)
POST_AND_NOTIFY = """if (!post(*slab, b, secret)) return;
    push_pending(slab->owner.load(order::relaxed)->pending, slab);"""
CAS = "slab.remote.cas_weak(seen, address_of(b) | kQueued, order::acq_rel, order::relaxed)"
ABANDON = """flush_all(heap);
    const bool keeps = heaps<W>.orphans() < W::kConfig.warm_orphans_max;
    if (!W::Sync::choose(Heuristic::keep_warm, keeps)) release_empty_slabs(heap);
    heaps<W>.note_orphan(1);
    let_go(heap, Token::orphan);"""


def mutant(name, killer, *changes):
    return {"name": name, "killer": killer, "changes": changes}


MUTANTS = [
    # The remote list
    mutant(
        "M01.block_posted_before_its_link",
        "remote.two_freers",
        (REMOTE, "b->close(seen & ~kQueued, secret);", ""),
        (
            REMOTE,
            POST,
            f"if ({CAS}) {{ b->close(seen & ~kQueued, secret); return (seen & kQueued) == 0; }}",
        ),
    ),
    mutant(
        "M02.drain_loads_and_stores",
        "remote.two_freers",
        (
            REMOTE,
            "return slab.remote.exchange(0, order::acq_rel) & ~kQueued;",
            (
                "const Address seen = slab.remote.load(order::acquire); slab.remote.store(0,"
                " order::release); return seen & ~kQueued;"
            ),
        ),
    ),
    mutant(
        "M12.notifies_if_the_list_was_empty",
        "ownership.take_over_freer",
        (REMOTE, POST, f"if ({CAS}) return (seen & ~kQueued) == 0;"),
    ),
    mutant("every_post_notifies", "remote.two_freers", (REMOTE, POST, f"if ({CAS}) return true;")),
    mutant(
        "M15.posts_without_queued_bit",
        "remote.owner_refills",
        (
            REMOTE,
            POST,
            (
                "if (slab.remote.cas_weak(seen, address_of(b), order::acq_rel, order::relaxed))"
                " return seen == 0;"
            ),
        ),
    ),
    mutant(
        "owner_read_before_post",
        "ownership.take_over_freer",
        (
            SLABS,
            POST_AND_NOTIFY,
            (
                "Heap<W>* const owner = slab->owner.load(order::relaxed); "
                "if (post(*slab, b, secret)) push_pending(owner->pending, slab);"
            ),
        ),
    ),
    mutant(
        "block_touched_after_post",
        "remote.owner_refills",
        (
            SLABS,
            POST_AND_NOTIFY,
            (
                "const bool notifies = post(*slab, b, secret); static_cast<void>(b->link.get()); "
                "if (notifies) push_pending(slab->owner.load(order::relaxed)->pending, slab);"
            ),
        ),
    ),
    mutant(
        "slab_touched_after_push",
        "remote.owner_retires_slab",
        (
            SLABS,
            POST_AND_NOTIFY,
            (
                "if (!post(*slab, b, secret)) return;"
                " push_pending(slab->owner.load(order::relaxed)->pending, slab);"
                " static_cast<void>(slab->pending_next.get());"
            ),
        ),
    ),
    mutant(
        "M06.next_read_after_drain",
        "remote.owner_refills",
        (
            SLABS,
            """Slab<W>* const next = slab->pending_next.get();
        collect(heap, slab, false);
        slab = next;""",
            "collect(heap, slab, false); slab = slab->pending_next.get();",
        ),
    ),
    mutant(
        "pending_list_stored_over",
        "remote.two_slabs",
        (
            REMOTE,
            "if (pending.cas_weak(head, slab, order::release, order::relaxed)) return;",
            "pending.store(slab, order::release); return;",
        ),
    ),
    mutant(
        "M09.refill_does_not_collect",
        "ownership.adopter_takes_what_came_back",
        (
            "heap/allocate.hpp",
            "if (W::Sync::choose(Heuristic::collect, has_pending(heap))) collect_pending(heap);",
            "",
        ),
    ),
    mutant(
        "tender_pops_before_it_reads_the_link",
        "ownership.two_slabs_tended",
        (
            REMOTE,
            (
                "if (pending.cas_weak(head, head->pending_next.get(), order::relaxed,"
                " order::relaxed)) return head;"
            ),
            "if (pending.cas_weak(head, nullptr, order::relaxed, order::relaxed)) return head;",
        ),
    ),
    # Ownership
    mutant(
        "take_over_without_claim",
        "ownership.take_over_freer",
        (TEND, "if (!try_claim(*slab)) return false;", ""),
    ),
    mutant(
        "M07.claim_checks_then_sets",
        "ownership.take_over_freer",
        (
            REMOTE,
            (
                "if (slab.remote.cas_weak(seen, seen | kQueued, order::relaxed, order::relaxed))"
                " return true;"
            ),
            "slab.remote.store(seen | kQueued, order::relaxed); return true;",
        ),
    ),
    mutant(
        "M14.token_checked_then_set",
        "ownership.token_sleeper",
        (
            TEND,
            "return heap.token.cas_strong(from, to, order::acquire, order::relaxed);",
            (
                "static_cast<void>(heap.token.load(order::acquire)); heap.token.store(to,"
                " order::release); return true;"
            ),
        ),
    ),
    mutant(
        "M13.adopter_checks_then_sets",
        "ownership.exit_two_adopters",
        (
            HEAPS,
            """if (heap.token.cas_strong(seen, Token::owned, order::acquire, order::relaxed)) {
                note_orphan(-1);
                return &heap;
            }""",
            """static_cast<void>(seen);
            static_cast<void>(heap.token.load(order::acquire));
            heap.token.store(Token::owned, order::release);
            note_orphan(-1);
            return &heap;""",
        ),
    ),
    mutant(
        "M08.exit_lets_go_before_it_flushes",
        "ownership.exit_freer_adopter",
        (
            TEND,
            ABANDON,
            (
                "heaps<W>.note_orphan(1); let_go(heap, Token::orphan); flush_all(heap);"
                " release_empty_slabs(heap);"
            ),
        ),
    ),
    mutant(
        "M10.exit_keeps_its_lists",
        "ownership.exit_with_full_bins",
        (
            TEND,
            ABANDON,
            "release_empty_slabs(heap); heaps<W>.note_orphan(1); let_go(heap, Token::orphan);",
        ),
    ),
    mutant(
        "M16.visit_not_ended",
        "ownership.orphan_two_tenders",
        (
            TEND,
            """if (!taken) other.idle_looks.store(0, order::relaxed);
            end_tend(other, was);""",
            "if (taken) end_tend(other, was);",
        ),
    ),
    mutant(
        "busy_heaps_are_tended",
        "ownership.living_spills",
        (
            TEND,
            "was == Token::orphan || was == Token::owned",
            "was == Token::orphan || was == Token::owned || was == Token::busy",
            True,
        ),
    ),
    mutant(
        "tender_does_not_wake",
        "ownership.token_sleeper",
        (
            TEND,
            (
                "if (heap.token.exchange(to, order::release) == Token::awaited)"
                " W::Pal::wake_one(token_futex(heap));"
            ),
            "heap.token.store(to, order::release);",
        ),
    ),
    mutant(
        "sleeper_not_announced",
        "ownership.token_sleeper",
        (
            TEND,
            """if (seen == Token::tended && !heap.token.cas_strong(seen, Token::awaited,
            order::relaxed, order::relaxed)) continue; W::Pal::sleep_while(token_futex(heap),
            static_cast<std::uint32_t>(Token::awaited));""",
            "W::Pal::sleep_while(token_futex(heap), static_cast<std::uint32_t>(seen));",
        ),
    ),
    mutant(
        "bump_slab_taken_over",
        "ownership.living_bump_slab_with_room",
        (TEND, "if (slab == from.bump_slab[c].get()) continue;", ""),
    ),
    mutant(
        "bump_slab_collected",
        "ownership.living_bump_range",
        (
            TEND,
            "slab == heap.bump_slab[slab->size_class.load(order::relaxed)].get()",
            "false",
            True,
        ),
    ),
    mutant(
        "spill_without_token",
        "ownership.living_spills",
        (
            "heap/deallocate.hpp",
            (
                "if (!try_hold(*heap)) [[unlikely]] return deallocate_to_changing_slab(heap,"
                " record, b, false);"
            ),
            "",
        ),
    ),
    mutant(
        "flush_gives_what_moved",
        "ownership.living_list_moved",
        (
            SLABS,
            """if (slab->owner.load(order::relaxed) == &heap) [[likely]]
                return give_back(heap, slab, b);
            post_and_notify(slab, b, window<W>.secret());""",
            "give_back(heap, slab, b);",
        ),
    ),
    # Decisions that may fall either way; by itself the model's world makes them one way only.
    mutant(
        "warm_orphan_lets_go_twice",
        "ownership.exit_freer_adopter.any",
        (
            TEND,
            "if (!W::Sync::choose(Heuristic::keep_warm, keeps)) release_empty_slabs(heap);",
            (
                "if (W::Sync::choose(Heuristic::keep_warm, keeps)) let_go(heap, Token::orphan);"
                " else release_empty_slabs(heap);"
            ),
        ),
    ),
    mutant(
        "each_look_at_a_busy_thread_announces_a_tender",
        "process.fork_tender.any",
        (
            TEND,
            "was == Token::orphan || is_idle(other, count)",
            "was == Token::orphan || is_idle(other, count) || !heaps<W>.begin_tending()",
            True,
        ),
    ),
    mutant(
        "housekeeping_without_token",
        "ownership.living_housekeeps.any",
        (
            "heap/allocate.hpp",
            (
                "if (W::Sync::choose(Heuristic::housekeep, heap.refills.get() % kHousekeepEvery =="
                " 0)) housekeep(heap);"
            ),
            """if (W::Sync::choose(Heuristic::housekeep, heap.refills.get() % kHousekeepEvery
        == 0)) { let_go(heap, Token::owned); housekeep(heap); hold(heap); }""",
        ),
    ),
    mutant(
        "run_left_committed_leaves_its_queue",
        "memory.superslab_retired_late_free.any",
        (RECLAIM, "p.to_decommit_.push(i, now);", ""),
    ),
    mutant(
        "full_cache_keeps_the_lock",
        "memory.purge_while_taken.any",
        (
            RECLAIM,
            """work(now, over ? Mode::purge_all : full ? Mode::flush : Mode::due);
        lock_.release();""",
            (
                "work(now, over ? Mode::purge_all : full ? Mode::flush : Mode::due); if (!over)"
                " lock_.release();"
            ),
        ),
    ),
    # Memory
    mutant(
        "M05.large_state_checked_then_set",
        "memory.large_freed_twice",
        (
            "heap/large.hpp",
            (
                "if (!swap_alone<W, UnitState>(record->state, from, to) &&"
                " !record->state.cas_strong(from, to, order::relaxed, order::relaxed)) return"
                " false;"
            ),
            (
                "if (record->state.load(order::relaxed) != from) return false;"
                " record->state.store(to, order::relaxed);"
            ),
        ),
    ),
    mutant(
        "lock_release_does_not_wake",
        "memory.lock_sleepers",
        (
            LOCK,
            "if (word_.exchange(kFree, order::release) == kContended) [[unlikely]] wake();",
            "word_.store(kFree, order::release);",
        ),
    ),
    mutant(
        "lock_forgets_its_sleepers",
        "memory.lock_sleepers",
        (
            LOCK,
            (
                "while (word_.exchange(kContended, order::acquire) != kFree)"
                " W::Pal::sleep_while(futex(), kContended);"
            ),
            (
                "while (word_.exchange(kHeld, order::acquire) != kFree)"
                " W::Pal::sleep_while(futex(), kHeld);"
            ),
        ),
    ),
    # The process
    mutant(
        "window_published_early",
        "process.first_use",
        (
            WINDOW,
            "superslabs_.set(pointer_to<SuperSlab<W>>(table + table_bytes));",
            (
                "base_.store(base, order::release); superslabs_.set(pointer_to<SuperSlab<W>>(table"
                " + table_bytes));"
            ),
        ),
    ),
    mutant(
        "M17.options_set_behind_the_window",
        "process.options_published",
        (
            "heap/lifecycle.hpp",
            """tunables<W>.set(W::read_tunables());
    return window<W>.open(tunables<W>.get());""",
            (
                "const bool is_open = window<W>.open(W::read_tunables());"
                " tunables<W>.set(W::read_tunables()); return is_open;"
            ),
        ),
    ),
    mutant(
        "M16.barred_tender_stays_announced",
        "process.fork_tender",
        (
            HEAPS,
            """end_tending();
        return false;""",
            "return false;",
        ),
    ),
    mutant(
        "fork_does_not_wait_for_tenders",
        "process.fork_tender",
        (
            HEAPS,
            (
                "while (const std::uint32_t tenders = tenders_.load(order::seq_cst))"
                " W::Pal::sleep_while(tenders_futex(), tenders);"
            ),
            "",
        ),
    ),
    mutant(
        "fork_child_loses_pending_slabs",
        "process.fork_freer",
        (
            FORK,
            (
                "if ((slab->remote.load(order::relaxed) & kQueued) != 0)"
                " push_pending(owner->pending, slab);"
            ),
            "",
        ),
    ),
    mutant(
        "fork_without_the_pool_lock",
        "process.fork_trim",
        (FORK, "pool<W>.lock().acquire();", ""),
        (FORK, "pool<W>.lock().release();", ""),
    ),
    mutant(
        "fork_child_inherits_the_registry_lock",
        "process.fork_first_use",
        (FORK, "heaps<W>.lock().reset();", ""),
    ),
    # The learner
    mutant(
        "missed_call_is_lost",
        "learning.three_noters",
        (LEARNER, "missed_.fetch_add(1, order::relaxed);", ""),
    ),
    mutant(
        "decision_published_in_two_stores",
        "learning.noters_and_reader",
        (
            LEARNER,
            "word_.store(d.pack(), order::relaxed);",
            (
                "Decision torn = Decision::unpack(word_.load(order::relaxed)); torn.generation ="
                " d.generation; word_.store(torn.pack(), order::relaxed); word_.store(d.pack(),"
                " order::relaxed);"
            ),
        ),
    ),
    mutant(
        "caller_outside_the_lock",
        "learning.noter_beside_caller",
        (
            LEARNER,
            "visit(mind_)",
            (
                "[&] { lock_.release(); const auto alone = visit(mind_);"
                " static_cast<void>(lock_.acquire()); return alone; }()"
            ),
            True,
        ),
    ),
    mutant(
        "tick_without_the_lock",
        "learning.noter_beside_ticker",
        (
            LEARNER,
            "if (!lock_.try_acquire()) return Turn::none;",
            "static_cast<void>(lock_.try_acquire());",
        ),
    ),
]
