// axioms.cpp: execution graphs grow event by event, and are judged.
#include "props/explorer/tests/axioms.hpp"

#include <bit>
#include <stdexcept>
#include <unordered_set>

namespace litmus {

namespace {

// Calls f(index) for every bit that is set.
template <class F>
void for_each_bit(std::uint64_t bits, F f) {
    for (; bits; bits &= bits - 1) f(std::countr_zero(bits));
}

// events of one thread; row 0 holds the initial writes, so that event ids stay below 64
constexpr int kSlots = 8;

// A set of pairs of events.
class Relation {
  public:
    void add(int from, int to) { rows_[std::size_t(from)] |= std::uint64_t{1} << to; }
    void add_all(int from, std::uint64_t to) { rows_[std::size_t(from)] |= to; }
    bool has(int from, int to) const { return rows_[std::size_t(from)] >> to & 1; }
    std::uint64_t after(int from) const { return rows_[std::size_t(from)]; }

    Relation operator|(const Relation& other) const {
        Relation result = *this;
        for (std::size_t i = 0; i < 64; ++i) result.rows_[i] |= other.rows_[i];
        return result;
    }
    // Composition: first this, then `next`.
    Relation operator*(const Relation& next) const {
        Relation result;
        for (std::size_t i = 0; i < 64; ++i)
            for_each_bit(rows_[i], [&](int k) { result.rows_[i] |= next.rows_[std::size_t(k)]; });
        return result;
    }
    // The pairs that start in `from` and end in `to`.
    Relation between(std::uint64_t from, std::uint64_t to) const {
        Relation result;
        for (std::size_t i = 0; i < 64; ++i)
            if (from >> i & 1) result.rows_[i] = rows_[i] & to;
        return result;
    }
    Relation closure() const {
        Relation result = *this;
        for (std::size_t k = 0; k < 64; ++k)
            if (result.rows_[k])
                for (auto& row : result.rows_)
                    if (row >> k & 1) row |= result.rows_[k];
        return result;
    }
    Relation or_equal() const {
        Relation result = *this;
        for (int i = 0; i < 64; ++i) result.add(i, i);
        return result;
    }
    bool irreflexive() const {
        for (int i = 0; i < 64; ++i)
            if (has(i, i)) return false;
        return true;
    }
    bool acyclic() const { return closure().irreflexive(); }

  private:
    std::array<std::uint64_t, 64> rows_{};
};

bool acquires(Order o) {
    return o == Order::acquire || o == Order::acq_rel || o == Order::seq_cst;
}
bool releases(Order o) {
    return o == Order::release || o == Order::acq_rel || o == Order::seq_cst;
}

struct Event {
    bool reads = false, writes = false, plain = false;
    std::int8_t location = -1;  // none: a fence
    std::int8_t source = -1;    // the write that it reads from
    Order order = Order::relaxed;
    int written = 0;
};

class Graph {
  public:
    explicit Graph(const Program& program) : program_(&program) {
        if (program.size() >= kSlots) throw std::invalid_argument("too many threads");
        for (int location = 0; location < kLocations; ++location) {
            Event initial;
            initial.writes = true;
            initial.plain = location >= kAtomics;
            initial.location = std::int8_t(location);
            modification_[std::size_t(location)] = {place(0, initial)};
        }
    }

    // Calls visit(graph) for every graph with one more event of thread t.
    template <class Visit>
    void extend(std::size_t t, Visit visit) const {
        const Op* const next = next_op(t);
        if (!next) return;
        const Op& op = *next;
        const int row = int(t) + 1;
        Graph base = *this;
        base.next_[t] = std::size_t(next - (*program_)[t].data()) + 1;
        Event event;
        event.plain = is_plain(op);
        event.location = op.location;
        event.order = op.order;
        event.written = op.operand >= 0 ? registers_.registers[std::size_t(op.operand)] : op.value;
        if (op.kind == Kind::fence) {
            base.place(row, event);
            return visit(base);
        }
        const auto& order = modification_[std::size_t(op.location)];
        if (op.kind == Kind::store || op.kind == Kind::plain_write) {
            event.writes = true;
            for (std::size_t position = 1; position <= order.size(); ++position)
                base.written(row, event, position, visit);
            return;
        }
        // A cas loop begins with a load, and its cas expects what was read last.
        const bool loop_begins = op.kind == Kind::cas_loop && !looping_[t];
        const bool cas = is_cas(op) || (op.kind == Kind::cas_loop && looping_[t]);
        event.reads = true;
        for (std::size_t position = 0; position < order.size(); ++position) {
            Event read = event;
            read.source = order[position];
            const int value = event_[std::size_t(read.source)].written;
            if (op.kind == Kind::await && value != op.value) continue;
            Graph after = base;
            if (op.into >= 0) after.registers_.registers[std::size_t(op.into)] = value;
            if (op.kind == Kind::add) read.written += value;
            const bool equal = cas && value == (is_cas(op) ? op.expected : expected_[t]);
            if (op.kind == Kind::add || op.kind == Kind::exchange || equal) {
                Graph success = after;
                success.looping_[t] = false;
                read.writes = true;
                success.written(row, read, position + 1, visit);
                if (op.kind != Kind::weak_cas) continue;
            }
            read.writes = false;
            if (cas) read.order = op.failure;
            if (loop_begins) read.order = Order::relaxed;
            if (op.kind == Kind::cas_loop) {
                after.looping_[t] = true;
                after.expected_[t] = value;
                --after.next_[t];
            }
            after.place(row, read);
            visit(after);
        }
    }

    bool complete() const {
        for (std::size_t t = 0; t < program_->size(); ++t)
            if (next_op(t)) return false;
        return true;
    }

    // Every thread has ended or waits, some wait, and none of them may go on with the newest value.
    bool stuck() const {
        bool waits = false;
        for (std::size_t t = 0; t < program_->size(); ++t) {
            const Op* const op = next_op(t);
            if (!op) continue;
            if (op->kind != Kind::await || newest(std::size_t(op->location)) == op->value)
                return false;
            waits = true;
        }
        return waits;
    }

    // Two graphs with the same key are the same graph.
    std::string key() const {
        std::string key;
        for (int row = 1; row < kSlots; ++row) {
            for (int slot = 0; slot < count_[std::size_t(row)]; ++slot)
                key += char(at(row, slot).source + 1);
            key += '\x7f';
        }
        for (const auto& order : modification_) {
            key.append(order.begin(), order.end());
            key += '\x7f';
        }
        return key;
    }

    State outcome() const {
        State state = registers_;
        for (std::size_t l = 0; l < kLocations; ++l) state.locations[l] = newest(l);
        return state;
    }

    bool consistent(const Model& model) {
        const Relation sb = program_order();
        Relation rf, mo, fr;
        for (const auto& order : modification_) {
            std::uint64_t later = 0;
            for (std::size_t i = order.size(); i-- > 0; later |= bit(order[i])) {
                mo.add_all(order[i], later);
                // Atomicity: a read-modify-write stands directly after the write that it reads.
                const Event& write = event_[std::size_t(order[i])];
                if (write.source >= 0 && (i == 0 || order[i - 1] != write.source)) return false;
            }
        }
        for_each_bit(present(), [&](int e) {
            const int source = event_[std::size_t(e)].source;
            if (source < 0) return;
            rf.add(source, e);
            fr.add_all(e, mo.after(source) & ~bit(e));
        });
        if (model.sequential) {
            happens_before_ = (sb | rf).closure();
            return (sb | rf | mo | fr).acyclic();
        }
        happens_before_ = (sb | synchronizes_with(sb, model)).closure();
        const Relation& hb = happens_before_;
        Relation eco = (rf | mo | fr).closure();
        if (!hb.irreflexive() || !(hb * eco).irreflexive() || !(sb | rf).acyclic()) return false;
        Relation psc = partial_sc(sb, mo, fr, eco, model);
        Relation execution;
        if (model.sc_follows_execution || model.mo_follows_execution) execution = sb | rf;
        if (model.mo_follows_execution) execution = execution | mo;
        return (psc | execution).acyclic();
    }

    // Two accesses of one word, one of them plain, one a write, and neither happens before the
    // other. Asked after consistent().
    bool race() const {
        bool found = false;
        for_each_bit(present(), [&](int a) {
            const Event& x = event_[std::size_t(a)];
            if (!x.plain) return;
            for_each_bit(present(), [&](int b) {
                const Event& y = event_[std::size_t(b)];
                found |= a != b && x.location == y.location && (x.writes || y.writes) &&
                         !happens_before_.has(a, b) && !happens_before_.has(b, a);
            });
        });
        return found;
    }

  private:
    // Null at the end of the thread.
    const Op* next_op(std::size_t t) const {
        const Thread& thread = (*program_)[t];
        std::size_t at = next_[t];
        while (at < thread.size() && !registers_.holds(thread[at].guard)) ++at;
        return at < thread.size() ? &thread[at] : nullptr;
    }

    int newest(std::size_t location) const {
        return event_[std::size_t(modification_[location].back())].written;
    }

    const Event& at(int row, int slot) const { return event_[std::size_t(row * kSlots + slot)]; }

    std::int8_t place(int row, const Event& event) {
        int slot = count_[std::size_t(row)]++;
        if (slot == kSlots) throw std::length_error("too many operations in a thread");
        event_[std::size_t(row * kSlots + slot)] = event;
        return std::int8_t(row * kSlots + slot);
    }

    template <class Visit>
    void written(int row, const Event& event, std::size_t position, Visit visit) const {
        Graph after = *this;
        auto& order = after.modification_[std::size_t(event.location)];
        order.insert(order.begin() + std::ptrdiff_t(position), after.place(row, event));
        visit(after);
    }

    // The initial writes come before everything.
    Relation program_order() const {
        Relation sb;
        const std::uint64_t initial = row_of(0), rest = present() & ~initial;
        for_each_bit(initial, [&](int e) { sb.add_all(e, rest); });
        for_each_bit(rest,
                     [&](int e) { sb.add_all(e, row_of(e / kSlots) & ~(bit(e) | (bit(e) - 1))); });
        return sb;
    }

    // A release write, or a write after a release fence; then read-modify-writes that hand it on;
    // then an acquire read, or a read before an acquire fence.
    Relation synchronizes_with(const Relation& sb, const Model& model) const {
        Relation sw;
        for_each_bit(present(), [&](int read) {
            const Event& r = event_[std::size_t(read)];
            if (r.source < 0 || r.plain) return;
            const std::uint64_t acquiring = acquires(r.order) ? bit(read) : 0;
            const std::uint64_t acquired = acquiring | (fences(acquires) & sb.after(read));
            for (int head = r.source; head >= kSlots; head = event_[std::size_t(head)].source) {
                std::uint64_t heads = bit(head);
                if (model.store_continues_release)
                    for_each_bit(row_of(head / kSlots), [&](int e) {
                        const Event& earlier = event_[std::size_t(e)];
                        if (e < head && earlier.writes && earlier.location == r.location)
                            heads |= bit(e);
                    });
                for_each_bit(heads, [&](int e) {
                    if (releases(event_[std::size_t(e)].order)) sw.add_all(e, acquired);
                    for_each_bit(fences(releases) & row_of(e / kSlots) & (bit(e) - 1),
                                 [&](int f) { sw.add_all(f, acquired); });
                });
            }
        });
        return sw;
    }

    // The fences of an order.
    std::uint64_t fences(bool (*has_order)(Order)) const {
        std::uint64_t found = 0;
        for_each_bit(present(), [&](int e) {
            if (event_[std::size_t(e)].location < 0 && has_order(event_[std::size_t(e)].order))
                found |= bit(e);
        });
        return found;
    }

    // psc of RC11: its base between SC accesses and fences, and its order between SC fences.
    Relation partial_sc(const Relation& sb, const Relation& mo, const Relation& fr,
                        const Relation& eco, const Model& model) const {
        const Relation& hb = happens_before_;
        std::uint64_t accesses = 0, fences = 0, updates = 0;
        for_each_bit(present(), [&](int e) {
            const Event& x = event_[std::size_t(e)];
            if (x.order == Order::seq_cst) (x.location >= 0 ? accesses : fences) |= bit(e);
            if (x.reads && x.writes) updates |= bit(e);
        });
        if (!(accesses | fences)) return {};
        Relation same_location, sb_elsewhere;
        for_each_bit(present(), [&](int e) {
            const std::uint64_t same = of_location(event_[std::size_t(e)].location);
            same_location.add_all(e, hb.after(e) & same);
            sb_elsewhere.add_all(e, sb.after(e) & ~same);
        });
        std::uint64_t all = ~std::uint64_t{0};
        Relation scb = sb | sb_elsewhere * hb * sb_elsewhere | same_location | mo | fr;
        // The write of a read-modify-write counts as sb-after its read.
        if (model.sc_through_location) scb = scb | sb * hb * sb | (sb * hb).between(all, updates);
        Relation unit = Relation{}.or_equal();
        Relation into = unit.between(accesses, accesses) | hb.or_equal().between(fences, all);
        Relation out = unit.between(accesses, accesses) | hb.or_equal().between(all, fences);
        return into * scb * out | (hb | hb * eco * hb).between(fences, fences);
    }

    static std::uint64_t bit(int id) { return std::uint64_t{1} << id; }
    std::uint64_t row_of(int row) const {
        return (bit(count_[std::size_t(row)]) - 1) << (row * kSlots);
    }
    std::uint64_t present() const {
        std::uint64_t all = 0;
        for (int row = 0; row < kSlots; ++row) all |= row_of(row);
        return all;
    }
    // Its events; of no location (a fence): none.
    std::uint64_t of_location(int location) const {
        std::uint64_t found = 0;
        if (location >= 0)
            for_each_bit(present(), [&](int e) {
                if (event_[std::size_t(e)].location == location) found |= bit(e);
            });
        return found;
    }

    const Program* program_;
    std::array<Event, 64> event_{};
    std::array<int, kSlots> count_{};
    std::array<std::size_t, kSlots> next_{};
    std::array<bool, kSlots> looping_{};  // in a cas loop, past its load
    std::array<int, kSlots> expected_{};  // what the loop's cas expects
    std::array<std::vector<std::int8_t>, kLocations> modification_;
    State registers_;
    Relation happens_before_;
};

}  // namespace

Verdict judge(const Program& program, const Model& model) {
    Verdict verdict;
    std::unordered_set<std::string> seen;
    std::vector<Graph> open{Graph(program)};
    while (!open.empty()) {
        Graph graph = std::move(open.back());
        open.pop_back();
        if (graph.complete()) {
            ++verdict.graphs;
            verdict.outcomes.insert(graph.outcome());
        }
        verdict.stuck |= graph.stuck();
        for (std::size_t t = 0; t < program.size(); ++t)
            graph.extend(t, [&](Graph& longer) {
                if (!seen.insert(longer.key()).second || !longer.consistent(model)) return;
                verdict.race |= longer.race();
                open.push_back(longer);
            });
    }
    return verdict;
}

}  // namespace litmus
