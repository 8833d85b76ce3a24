// subject.cpp: the machines of the kit in TinyWorld, or, for canaries, in a world with the defect
// FUZZ_DEFECT, which the seed corpus of a target must show. Compiled once for each.
#include "fuzz/subject.hpp"

#include "props/kit/machine.hpp"

#ifndef FUZZ_DEFECT
#    define FUZZ_DEFECT none
#endif

namespace {

namespace worlds {
using none = kit::TinyWorld;
using lost_remote_block = kit::WorldOf<kit::Defect::lost_remote_block>;
using lying_purge = kit::WorldOf<kit::Defect::lying_purge>;
using lost_pending = kit::WorldOf<kit::Defect::lost_pending>;

// Says that memory is accessible and leaves it as it was.
struct lying_commit : kit::TinyWorld {
    struct Pal : kit::FakePal {
        static bool commit(void*, std::size_t) { return true; }
    };
};
// Every fault of the client is called by the same name.
struct one_fault : kit::TinyWorld {
    [[noreturn]] static void fault(hak::Fault, hak::Entry entry, const void* p) {
        throw kit::ClientFault{hak::Fault::foreign, entry, p};
    }
};
// The links of free blocks lose the bit that tells a block from the one beside it.
struct slipping_link : kit::TinyWorld {
    struct Sync : kit::TinyWorld::Sync {
        template <class T>
        class Plain : public hak::StdSync::Plain<T> {
            using Base = hak::StdSync::Plain<T>;

          public:
            using Base::Base;
            T get() const {
                T value = Base::get();
                if constexpr (std::is_same_v<T, hak::Address>) {
                    if (value % 256 == 0xd0) value -= 16;
                }
                return value;
            }
        };
    };
};
}  // namespace worlds

using World = worlds::FUZZ_DEFECT;

#define FUZZ_TEXT_(x) #x
#define FUZZ_TEXT(x) FUZZ_TEXT_(x)

const fuzz::Subject machines{
    fuzz::Defect(FUZZ_TEXT(FUZZ_DEFECT)),
    [](const kit::Commands& commands) {
        return kit::run_history<World>(commands,
                                       {.audit_every = 2, .verify_every = 16, .zero_every = 16});
    },
    [](const kit::PoolCommands& commands) { return kit::run_pool_history<World>(commands); }};
const bool is_registered = (fuzz::subjects().push_back(&machines), true);

}  // namespace
