// thread_cache_props.cpp: the state model of one class's bin: which block comes next, how long the
// list is, when a free goes to the slab. The model keeps the list itself, so every pop is foretold
// to the address.
#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/shadow_heap.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Slot : Field<'h', 80, 1> {};
struct Take {
    Slot h;
    KIT_COMMAND(Take, "take", 90, h)
};
struct Give {
    Slot h;
    KIT_COMMAND(Give, "give", 90, h)
};
struct TakeMany {
    Slot h;
    Count x;
    KIT_COMMAND(TakeMany, "take_many", 10, h, x)
};
struct GiveMany {
    Slot h;
    Count x;
    KIT_COMMAND(GiveMany, "give_many", 10, h, x)
};
struct Flush {
    Flag f;
    KIT_COMMAND(Flush, "flush", 8, f)
};  // f: empty slabs go as well
struct Wait {
    Millis m;
    KIT_COMMAND(Wait, "wait", 4, m)
};

using ThreadCacheCommand = std::variant<Take, Give, TakeMany, GiveMany, Flush, Wait>;
using ThreadCacheCommands = std::vector<ThreadCacheCommand>;

}  // namespace kit

namespace {

using W = kit::TinyWorld;
using kit::require;
using kit::ThreadCacheCommand, kit::ThreadCacheCommands, kit::Slot, kit::Take, kit::Give,
    kit::TakeMany, kit::GiveMany, kit::Flush, kit::Wait;

class ThreadCacheMachine {
  public:
    ThreadCacheMachine(std::size_t bytes, kit::Pairs* pairs)
        : bytes_(bytes), class_(hak::Classes<W>::class_of(bytes)), pairs_(pairs) {
        kit::reset_world<W>();
        void* const first = hak::allocate<W>(heap(), bytes_);
        require(first != nullptr, "no memory at the start");
        hak::deallocate<W>(heap(), first);
        read_bin();
    }
    void step(const ThreadCacheCommand& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        auditor_.check(kit::Auditor<W>::Scope::everything, false);
        shadow_.reconcile(auditor_.audit());
    }

  private:
    hak::Heap<W>* heap() const { return kit::heap_of<W>(0); }
    hak::Bin<W>& bin() const { return heap()->bins[class_]; }
    std::int32_t limit() const { return hak::Classes<W>::kShapes[class_].bin_blocks; }

    std::vector<hak::Address> list_of_bin() const {
        std::vector<hak::Address> list;
        for (hak::Address a = bin().list.get(); a != 0 && list.size() < 4096;
             a = hak::block_at<W>(a)->link.get())
            list.push_back(a);
        std::reverse(list.begin(), list.end());  // the block that comes next is the last
        return list;
    }
    void read_bin() {
        list_ = list_of_bin();
        bump_ = bin().bump.get();
        bump_end_ = bump_ + bin().bump_bytes.get();
    }
    // The bin is what the model says.
    void compare(const char* after) const {
        require(list_of_bin() == list_, after, ": the list is not what the model says");
        require(bin().room.get() == limit() - static_cast<std::int32_t>(list_.size()), after,
                ": room ", bin().room.get(), " with ", list_.size(), " blocks of ", limit());
        require(bin().bump_bytes.get() == bump_end_ - bump_ &&
                    (bump_ == bump_end_ || bin().bump.get() == bump_),
                after, ": the bump range is not what the model says");
    }
    std::string state() const {
        const std::string list = list_.empty()                                       ? "empty"
                                 : static_cast<std::int32_t>(list_.size()) < limit() ? "some"
                                 : list_.size() == static_cast<std::size_t>(limit()) ? "full"
                                                                                     : "over";
        return list + (bump_ == bump_end_ ? "" : "+bump");
    }

    void apply(const Take& c) {
        if (shadow_.is_live(c.h.v)) return;
        const std::string before = state();
        const hak::Address want = !list_.empty() ? list_.back() : bump_ != bump_end_ ? bump_ : 0;
        void* const p = hak::allocate<W>(heap(), bytes_);
        require(p != nullptr, "no memory");
        if (want == 0) {
            // a refill: what it brings is the slabs' business, that it is sound is Audit's
            read_bin();
        } else {
            require(hak::address_of(p) == want, "a block that the model did not foretell");
            if (!list_.empty()) {
                list_.pop_back();
            } else {
                bump_ += hak::Classes<W>::block_bytes(class_);
            }
        }
        compare("take");
        shadow_.add(c.h.v, p, bytes_, hak::kMinAlignment, false);
        if (pairs_ != nullptr) pairs_->note(before, state());
    }
    void apply(const Give& c) {
        if (!shadow_.is_live(c.h.v)) return;
        const std::string before = state();
        void* const p = shadow_.remove(c.h.v);
        const bool fits = static_cast<std::int32_t>(list_.size()) < limit();
        hak::deallocate<W>(heap(), p);
        if (fits) list_.push_back(hak::address_of(p));
        compare("give");
        if (pairs_ != nullptr) pairs_->note(before, state());
    }
    void apply(const TakeMany& c) {
        for (unsigned i = 0; i < c.x.v; ++i) apply(Take{{(c.h.v + i) % Slot::kLimit}});
    }
    void apply(const GiveMany& c) {
        for (unsigned i = 0; i < c.x.v; ++i) apply(Give{{(c.h.v + i) % Slot::kLimit}});
    }
    void apply(const Flush& c) {
        const std::string before = state();
        hak::flush_all(*heap());
        list_.clear();
        bump_ = bump_end_ = 0;
        compare("flush");
        auditor_.check(kit::Auditor<W>::Scope::everything, true);
        require(
            auditor_.audit().totals().listed_blocks + auditor_.audit().totals().bump_blocks == 0,
            "blocks are left in bins after a flush");
        if (c.f.v != 0) hak::release_empty_slabs(*heap());
        if (c.f.v != 0 && shadow_.live() == 0)
            require(heap()->slabs.load(hak::order::relaxed) == 0, "an empty slab is kept");
        if (pairs_ != nullptr) pairs_->note(before, state());
    }
    void apply(const Wait& c) { kit::os.advance(c.m.v); }

    std::size_t bytes_;
    hak::SizeClass class_;
    kit::Pairs* pairs_;
    kit::ShadowHeap<W> shadow_;
    kit::Auditor<W> auditor_;
    std::vector<hak::Address> list_;
    hak::Address bump_ = 0, bump_end_ = 0;
};

std::string run_thread_cache_history(const ThreadCacheCommands& commands, kit::Pairs* pairs) {
    for (const std::size_t bytes : {std::size_t{16}, std::size_t{48}, std::size_t{256}}) {
        if (const std::string text = kit::run_on(ThreadCacheMachine(bytes, pairs), commands);
            !text.empty())
            return text + " with blocks of " + std::to_string(bytes);
    }
    return {};
}

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"empty", "some"},
    {"some", "empty"},
    {"some", "some"},
    {"some", "full"},
    {"full", "full"},
    {"full", "some"},
    {"empty+bump", "empty+bump"},
    {"empty+bump", "some+bump"},
    {"some+bump", "empty+bump"},
    {"some+bump", "full+bump"},
    {"full+bump", "full+bump"},
    {"full+bump", "empty"},
    {"some+bump", "empty"},
    {"empty+bump", "empty"},
};

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 800);
    kit::Pairs pairs;
    suite.histories<ThreadCacheCommand>(
        "props_thread_cache", kit::history_generator<ThreadCacheCommand>(300),
        [&](const ThreadCacheCommands& c) { return run_thread_cache_history(c, &pairs); });
    suite.example("every change of state that is claimed was met", [&] {
        pairs.print(std::cerr, "one bin");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
