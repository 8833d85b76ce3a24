// sites.cpp: sites are added, described and mutated.
#include "props/explorer/sites.hpp"

#include <algorithm>
#include <cstring>

#include "props/explorer/explore.hpp"

namespace explorer {

namespace {
constexpr const char* kWhatNames[] = {"load",      "store",    "exchange",   "fetch_add",
                                      "fetch_sub", "cas_weak", "cas_strong", "fence"};
constexpr const char* kOrderNames[] = {"relaxed", "consume", "acquire",
                                       "release", "acq_rel", "seq_cst"};

bool ends_with(const std::string& text, const std::string& end) {
    if (text.size() < end.size() || text.compare(text.size() - end.size(), end.size(), end) != 0)
        return false;
    return text.size() == end.size() || text[text.size() - end.size() - 1] == '/';
}
}  // namespace

const char* name_of(std::memory_order order) {
    return kOrderNames[static_cast<unsigned>(order)];
}

bool parse_order(const std::string& text, std::memory_order& order) {
    for (unsigned i = 0; i < std::size(kOrderNames); ++i) {
        if (text == kOrderNames[i]) {
            order = static_cast<std::memory_order>(i);
            return true;
        }
    }
    return false;
}

const char* short_name(const char* file) {
    for (const char* root : {"/src/", "/props/"}) {
        const char* found = nullptr;
        for (const char* at = std::strstr(file, root); at != nullptr;
             at = std::strstr(at + 1, root))
            found = at;
        if (found != nullptr) return found + 1;
    }
    const char* const slash = std::strrchr(file, '/');
    return slash == nullptr ? file : slash + 1;
}

std::string Site::id() const {
    return file + ":" + std::to_string(line) + ":" + what;
}

Site Sites::describe(const Entry& entry) {
    Site site;
    site.file = short_name(entry.where.file_name());
    site.line = entry.where.line();
    site.what = kWhatNames[static_cast<unsigned>(entry.what)];
    site.order = entry.declared.order;
    site.failure = entry.declared.failure;
    return site;
}

void Sites::begin(const OrderMutant& mutant) {
    mutant_ = mutant;
    for (Entry& entry : entries_) {
        if (entry.key == 0) continue;
        entry.met = false;
        apply_mutant(entry);
    }
}

Sites::Entry& Sites::add(Entry& entry, const std::source_location& where, What what) {
    if (++used_ > kCapacity / 2)
        fail("more sites than the explorer holds (Sites::kCapacity)", Kind::limit);
    entry.key = std::bit_cast<std::uintptr_t>(where);
    entry.where = where;
    entry.what = what;
    apply_mutant(entry);
    return entry;
}

void Sites::apply_mutant(Entry& entry) const {
    const std::string id = describe(entry).id();
    entry.has_order = !mutant_.site.empty() && ends_with(id, mutant_.site);
    entry.has_failure = !mutant_.site.empty() && ends_with(id + ".failure", mutant_.site);
    entry.mutant = mutant_.order;
}

std::vector<Site> Sites::met() const {
    std::vector<Site> sites;
    for (const Entry& entry : entries_) {
        if (entry.key != 0 && entry.met) sites.push_back(describe(entry));
    }
    std::sort(sites.begin(), sites.end(), [](const Site& a, const Site& b) {
        if (a.file != b.file) return a.file < b.file;
        if (a.line != b.line) return a.line < b.line;
        return a.what < b.what;
    });
    // Several instances of a template stand at one place.
    sites.erase(std::unique(sites.begin(), sites.end(),
                            [](const Site& a, const Site& b) { return a.id() == b.id(); }),
                sites.end());
    return sites;
}

bool Sites::mutant_met() const {
    return std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) {
        return e.key != 0 && e.met && (e.has_order || e.has_failure);
    });
}

}  // namespace explorer
