// Small objects: a search tree that is built, thinned, searched and torn down, and a table of
// strings that are joined, cut and replaced. Both follow pointers, so that where an allocator
// places neighbours counts too.
#include "harness.hpp"

namespace hak::bench {
namespace {

struct TreeNode {
    std::uint64_t key;
    TreeNode* child[2];
    unsigned char* label;  // 8 to 71 bytes; the first one holds the length
};

unsigned char* make_label(std::uint64_t key) {
    const unsigned char length = static_cast<unsigned char>(8 + (key & 63));
    unsigned char* label = static_cast<unsigned char*>(must_malloc(length));
    label[0] = length;
    label[length - 1] = static_cast<unsigned char>(key >> 8);
    return label;
}

// Keys are random, so the depth stays logarithmic without balancing.
void insert(TreeNode** at, std::uint64_t key) {
    while (*at != nullptr) at = &(*at)->child[key > (*at)->key];
    TreeNode* node = static_cast<TreeNode*>(must_malloc(sizeof(TreeNode)));
    *node = TreeNode{key, {nullptr, nullptr}, make_label(key)};
    *at = node;
}

std::uint64_t destroy(TreeNode* node) {
    const unsigned char length = node->label[0];
    if (node->label[length - 1] != static_cast<unsigned char>(node->key >> 8))
        die("a tree's label changed while in use");
    const std::uint64_t value = scramble(node->key + length);
    std::free(node->label);
    std::free(node);
    return value;
}

// Takes the smallest node out of a subtree.
std::uint64_t remove_first(TreeNode** at) {
    while ((*at)->child[0] != nullptr) at = &(*at)->child[0];
    TreeNode* node = *at;
    *at = node->child[1];
    return destroy(node);
}

std::uint64_t tear_down(TreeNode* node) {
    if (node == nullptr) return 0;
    const std::uint64_t below = tear_down(node->child[0]) + tear_down(node->child[1]);
    return below + destroy(node);
}

struct Text {
    char* data;
    std::uint32_t length;
};

void set(Text& text, char* data, std::uint32_t length) {
    std::free(text.data);
    text = Text{data, length};
}

std::uint64_t hash(const Text& text) {
    std::uint64_t h = text.length;
    for (std::uint32_t i = 0; i < text.length; ++i)
        h = (h ^ static_cast<unsigned char>(text.data[i])) * 0x100000001b3u;
    return h;
}

}  // namespace

Outcome tree(const Options& options, Measure& measure) {
    const std::uint64_t rounds = options.work(50);
    constexpr std::uint32_t kNodes = 20'000;
    Random random(options.seed);

    measure.begin();
    Outcome outcome;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        TreeNode* root = nullptr;
        for (std::uint32_t i = 0; i < kNodes; ++i) insert(&root, random.next());
        for (std::uint32_t i = 0; i < kNodes / 2; ++i) {
            // Half of the nodes are replaced: the smallest of a random subtree goes, a new one
            // comes.
            TreeNode** at = &root;
            for (std::uint64_t turns = random.next() & 0xff;
                 (turns & 1) != 0 && (*at)->child[1] != nullptr; turns >>= 1) {
                at = &(*at)->child[1];
            }
            outcome.checksum += remove_first(at);
            insert(&root, random.next());
        }
        outcome.checksum += tear_down(root);
        outcome.ops += 2 * (kNodes + kNodes / 2);
    }
    measure.end();
    return outcome;
}

Outcome strings(const Options& options, Measure& measure) {
    const std::uint64_t steps = options.work(4'000'000);
    constexpr std::uint32_t kTexts = 20'000;
    Table<Text> texts(kTexts);
    Random random(options.seed);

    measure.begin();
    Outcome outcome;
    for (std::uint64_t step = 0; step < steps; ++step) {
        Text& text = texts[random.below(kTexts)];
        const std::uint64_t dice = random.next();
        const std::uint32_t extra = 4 + static_cast<std::uint32_t>((dice >> 8) & 31);
        if (text.length > 400 || (dice & 7) == 0) {  // replaced by a new short text
            char* data = static_cast<char*>(must_malloc(extra + 1));
            std::memset(data, static_cast<int>('a' + (dice >> 32) % 26), extra);
            data[extra] = '\0';
            outcome.checksum += text.data != nullptr ? hash(text) : 0;
            set(text, data, extra);
        } else if ((dice & 7) < 3) {  // appended to in place
            text.data = static_cast<char*>(must_realloc(text.data, text.length + extra + 1));
            std::memset(text.data + text.length, static_cast<int>('a' + (dice >> 32) % 26), extra);
            text.length += extra;
            text.data[text.length] = '\0';
        } else if ((dice & 7) < 6) {  // joined with another one
            const Text& other = texts[(dice >> 16) % kTexts];
            const std::uint32_t length = text.length / 2 + other.length / 2;
            char* data = static_cast<char*>(must_malloc(length + 1));
            if (text.length != 0) std::memcpy(data, text.data, text.length / 2);
            if (other.length != 0)
                std::memcpy(data + text.length / 2, other.data, other.length / 2);
            data[length] = '\0';
            set(text, data, length);
        } else {  // copied for a moment, as an argument or a key would be
            char* copy = static_cast<char*>(must_malloc(text.length + 1));
            if (text.length != 0) std::memcpy(copy, text.data, text.length);
            copy[text.length] = '\0';
            outcome.checksum += static_cast<unsigned char>(copy[text.length / 2]);
            std::free(copy);
        }
    }
    for (Text& text : texts) {
        if (text.data != nullptr) outcome.checksum += hash(text);
        std::free(text.data);
    }
    measure.end();
    outcome.ops = steps;
    return outcome;
}

}  // namespace hak::bench
