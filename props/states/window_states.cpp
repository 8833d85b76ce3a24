// window_states.cpp: the one reservation, from the first call on: its opening, and which access
// each of its pages gets.
#include <iostream>
#include <vector>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

enum Process : unsigned { closed, reserved_alone, exposed_too, open };
// A page by where it lies and what may be done with it.
enum Page : unsigned char {
    window_reserved,
    window_committed,
    units_exposed,
    units_committed,
    slots_reserved,
    slots_committed,
    heaps_reserved,
    heaps_committed
};

class WindowWatch : public Watch {
  public:
    WindowWatch() {
        process_transitions_.allow<Process>({
            {closed, reserved_alone},
            {reserved_alone, exposed_too},
            {exposed_too, open},
            // the table cannot be read: given back, and tried again with half of it
            {reserved_alone, closed},
        });
        // The window's pages come and go; the tables' and the heaps' come.
        page_transitions_.allow<Page>({{window_reserved, window_committed},
                                       {window_committed, window_reserved},
                                       {units_exposed, units_committed},
                                       {slots_reserved, slots_committed},
                                       {heaps_reserved, heaps_committed}});
    }
    void on_world() override {
        process_ = closed;
        pages_.clear();
    }
    void on_called(kit::Call call, const void* p, std::size_t bytes, bool works) override {
        see_open();
        if (!works) return;
        switch (call) {
            case kit::Call::reserve:
                reserved_ = bytes;
                return change(reserved_alone);
            case kit::Call::expose:
                return change(exposed_too);
            case kit::Call::arm:
                return;
            case kit::Call::purge:
                return each_page(p, bytes, [](Page now) {
                    kit::require(now == window_committed,
                                 "a page that is not a committed one of the window is purged");
                    return now;
                });
            case kit::Call::commit:
                return each_page(p, bytes, [](Page now) { return static_cast<Page>(now | 1); });
            case kit::Call::decommit:
                return each_page(p, bytes, [](Page now) { return static_cast<Page>(now & ~1u); });
        }
    }
    void on_unreserve() override { change(closed); }
    void on_step(Operation, unsigned, const void*, bool) override {
        see_open();
        if (process_ != open) return;
        kit::require(window.slots_ready() >= slots_ready_, "slots that were ready are not");
        kit::require(hak::heaps<Observed>.count() >= heaps_, "a heap is gone");
        kit::require(window.base() == base_ && window.bytes() == bytes_, "the window has moved");
        slots_ready_ = window.slots_ready();
        heaps_ = hak::heaps<Observed>.count();
        // A reader finds "free" in every record; a writer writes in committed ones alone.
        kit::require(
            heaps_ == 0 || pages_[page_of(window.heap_memory(heaps_ - 1))] == heaps_committed,
            "a heap lies in memory without access");
        kit::require(slots_ready_ == 0 ||
                         pages_[page_of(window.record(units_ready() - 1))] == units_committed,
                     "a record that is ready lies in memory without access");
    }
    void require_all_seen(bool is_full) override {
        process_transitions_.print(std::cerr);
        page_transitions_.print(std::cerr);
        if (!is_full) return;
        process_transitions_.require_all_seen();
        page_transitions_.require_all_seen();
    }

  private:
    void change(Process to) {
        process_transitions_.see(process_, to, 0);
        process_ = to;
    }
    void see_open() {
        if (process_ == open || !window.is_open()) return;
        change(open);
        base_ = window.base();
        bytes_ = window.bytes();
        slots_ready_ = heaps_ = 0;
        const std::size_t table = bytes_ / kPage,
                          slots = page_of(&hak::window<Observed>.superslab(0)),
                          heaps = page_of(window.heap_memory(0)), end = reserved_ / kPage;
        pages_.assign(end, window_reserved);
        for (std::size_t i = table; i < end; ++i)
            pages_[i] = i < slots ? units_exposed : i < heaps ? slots_reserved : heaps_reserved;
    }
    static std::size_t page_of(const void* p) {
        return (hak::address_of(p) - window.base()) / kPage;
    }
    template <class Next>
    void each_page(const void* p, std::size_t bytes, Next next) {
        for (std::size_t i = page_of(p); i < page_of(p) + bytes / kPage; ++i) {
            const Page now = next(pages_.at(i));
            if (now != pages_[i]) page_transitions_.see(pages_[i], now, i);
            pages_[i] = now;
        }
    }

    static constexpr std::size_t kPage = kit::FakeOs::kPage;
    kit::TransitionTable process_transitions_{"window", {"closed", "reserved", "exposed", "open"}};
    kit::TransitionTable page_transitions_{
        "page",
        {"window.reserved", "window.committed", "units.exposed", "units.committed",
         "slots.reserved", "slots.committed", "heaps.reserved", "heaps.committed"}};
    Process process_ = closed;
    std::vector<Page> pages_;
    hak::Address base_ = 0;
    std::size_t bytes_ = 0, reserved_ = 0, slots_ready_ = 0, heaps_ = 0;
};

}  // namespace

Watch& window_watch() {
    static WindowWatch eyes;
    return eyes;
}

}  // namespace states
