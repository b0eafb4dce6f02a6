// A 1x1 convolution in float32, with what follows it, for channels-last maps on a CPU.

#include "vectors.h"

namespace {

constexpr long FLOATS = 1 << 16;  // of the input that a thread keeps while it goes over the weights
constexpr long FEWEST = 48, MOST = 480;  // pixels of it
constexpr long AHEAD = 8;                // pixels, whose shortcut is fetched already
// Floats of an output that is written past the caches: a block's, which is read later than others.
constexpr long UNCACHED_BLOCK = 1 << 21, UNCACHED = 1 << 22;

}  // namespace

extern "C" {

// From x (pixels, in) to y (pixels, out): the packed weights (out, in) times x, and `bias`, and
// `shortcut` (pixels, out) if there is one, and ReLU if it is wanted.
void pointwise(const float* x, float* y, const float* shortcut, const float* weights,
               const float* bias, long relu, long pixels, long in, long out, long threads) {
    const auto made = panels(out);
    const long share = (pixels + threads - 1) / threads;
    const long block = std::min(std::max(std::min(FLOATS / in, MOST), FEWEST), share);
    const long blocks = (pixels + block - 1) / block;
    // Of few pixels, each thread computes some of the output's channels.
    const long shares = blocks < threads ? std::min<long>(threads, made.size()) : 1;
    const float least = least_of(relu);
    const bool aligned = reinterpret_cast<std::uintptr_t>(y) % sizeof(Vec) == 0 && out % LANES == 0;
    const bool uncached = aligned && pixels * out >= (shortcut ? UNCACHED_BLOCK : UNCACHED);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> spare(MOST_PIXELS * in);
#pragma omp for schedule(dynamic) collapse(2)
        for (long b = 0; b < blocks; ++b)
        for (long s = 0; s < shares; ++s) {
            const long first = b * block, here = std::min(block, pixels - first);
            const Panel* end = made.data() + (s + 1) * made.size() / shares;
            for (const Panel* p = made.data() + s * made.size() / shares; p < end; ++p) {
                const long begin = p->first * LANES;
                with_width(p->width, [&](auto width) {
                    multiply<width.value>(
                        x + first * in, in, here, weights + begin * in, in, bias + begin,
                        spare.data(), [&](long i, int v, Vec value) {
                            const long channel = begin + v * LANES, left = out - channel;
                            const long place = (first + i) * out + channel;
                            if (shortcut) {
                                __builtin_prefetch(shortcut + place + AHEAD * out);
                                value += load(shortcut + place, left);
                            }
                            value = at_least(value, least);
                            if (uncached) stream(y + place, value);
                            else store(y + place, value, left);
                        });
                });
            }
        }
        finish_streams();
    }
}

}  // extern "C"
