// profile_fuzz.cpp: the tables of the heap profile: samples that begin and end in any order, and
// more of everything than fits.
#include "fuzz/history.hpp"
#include "props/kit/profile_machine.hpp"

namespace {

const fuzz::Defect unseen_free("unseen_free");

std::string run(const std::vector<kit::ProfileCommand>& commands) {
    try {
        kit::ProfileMachine machine;
        for (const kit::ProfileCommand& command : commands) {
            const auto* const forget = std::get_if<kit::Forget>(&command);
            if (unseen_free && forget != nullptr) {
                machine.forget(forget->p.address(), false);
            } else {
                std::visit([&](const auto& c) { c.apply(machine); }, command);
            }
        }
        machine.check_sums();
    } catch (const kit::Broken& e) {
        return e.what();
    }
    return {};
}

}  // namespace

FUZZ_HISTORIES("profile", kit::ProfileCommand, run)
