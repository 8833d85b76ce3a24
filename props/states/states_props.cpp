// states_props.cpp: the state models of docs/memory.md, one for each machine and one for all of
// them at once.
//
//   props_states MODEL [options of kit/suite.hpp]
#include <cstring>

#include "props/kit/suite.hpp"
#include "props/states/stage.hpp"

namespace {

using states::Command;

template <class Change>
void each_field(Command& command, Change change) {
    std::visit(
        [&](auto& c) { std::apply([&](auto&... field) { (change(field), ...); }, c.fields()); },
        command);
}
// Sizes of one class, few blocks: slabs fill, drain and change hands.
void one_class(Command& command) {
    each_field(command, [&]<class F>(F& field) {
        if constexpr (std::is_same_v<F, kit::Bytes>) field.v = 200;
        if constexpr (std::is_same_v<F, kit::Handle>) field.v %= 64;
        if constexpr (std::is_same_v<F, kit::Count>) field.v %= 24;
    });
}

// The same, and each call ends before the next begins.
void one_at_a_time(Command& command) {
    one_class(command);
    if (std::holds_alternative<states::Pause>(command)) command = kit::Advance{{100}};
}
// Lists of several lengths, and each call ends before the next begins.
void few_classes(Command& command) {
    each_field(command, [&]<class F>(F& field) {
        if constexpr (std::is_same_v<F, kit::Bytes>)
            field.v = field.v % 3 == 0 ? 16 : field.v % 3 == 1 ? 48 : 200;
        if constexpr (std::is_same_v<F, kit::Handle>) field.v %= 64;
        if constexpr (std::is_same_v<F, kit::Count>) field.v %= 24;
    });
    if (std::holds_alternative<states::Pause>(command)) command = kit::Advance{{100}};
}
// Nothing is small.
void large(Command& command) {
    each_field(command, [&]<class F>(F& field) {
        if constexpr (std::is_same_v<F, kit::Bytes>) field.v = 2000 + field.v % 40000;
        if constexpr (std::is_same_v<F, kit::Handle>) field.v %= 32;
        if constexpr (std::is_same_v<F, kit::Count>) field.v %= 6;
    });
}
void any(Command&) {}
// Of all sizes, in short series: every block of every slab is looked at after every call.
void mixed(Command& command) {
    each_field(command, [&]<class F>(F& field) {
        if constexpr (std::is_same_v<F, kit::Count>) field.v %= 12;
    });
}

constexpr states::Model kModels[] = {
    {"token", states::token_watch, 3000, 300, one_class},
    {"remote", states::remote_watch, 3000, 300, one_class},
    {"list", states::list_watch, 3000, 300, few_classes},
    {"block", states::block_watch, 3000, 300, one_at_a_time},
    {"slab", states::slab_watch, 3000, 300, one_at_a_time},
    {"superslab", states::superslab_watch, 1500, 300, any},
    {"reclaim", states::reclaim_watch, 1500, 300, large},
    {"window", states::window_watch, 1500, 100, any},
    {"whole", states::whole_watch, 1000, 200, mixed},
};

int usage(const char* program) {
    std::cerr << "usage: " << program << " MODEL [options]; models:";
    for (const states::Model& model : kModels) std::cerr << " " << model.name;
    std::cerr << "\n";
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    const states::Model* model = nullptr;
    for (const states::Model& m : kModels) {
        if (argc > 1 && std::strcmp(argv[1], m.name) == 0) model = &m;
    }
    if (model == nullptr) return usage(argv[0]);
    kit::Suite suite(argc - 1, argv + 1, model->cases, model->name);
    suite.histories<Command>(
        "props_states." + std::string(model->name),
        kit::history_generator<Command>(model->length, model->pick),
        [&](const states::Commands& commands) { return states::run(commands, model->watch()); });
    suite.example("every change of state was met",
                  [&] { states::require_all_seen(model->watch(), suite.is_full()); });
    return suite.finish();
}
