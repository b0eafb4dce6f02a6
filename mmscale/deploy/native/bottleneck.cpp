// ReXNet's inverted bottleneck in float32, for channels-last maps on a CPU.
//
// The map of the expanded channels never exists as a whole. Its rows are computed into a ring of a
// few, which stays in the cache, and the depthwise convolution takes them from there. Without
// squeeze-excite each row is projected at once; with it, when the means of all rows are known.

#include "vectors.h"

// A block, as bottleneck.py describes it. Vectors of channels are padded, and so is the depth of
// `project`; `depthwise` is (9, hidden), `reduce` (gates, hidden) and `excite` (gates, hidden).
extern "C" struct Block {
    long in, hidden, out, stride, dilation, gates;
    long expands, silu, shortcut;
    const float *expand, *expand_bias, *depthwise, *depthwise_bias, *project, *project_bias;
    const float *reduce, *reduce_bias, *excite, *excite_bias;  // if there are gates
};

namespace {

struct Sizes {
    long images, height, width;  // of the input
    long rows, columns;          // of the output

    Sizes(const Block& block, long images, long height, long width)
        : images(images), height(height), width(width) {
        rows = (height - 1) / block.stride + 1;
        columns = (width - 1) / block.stride + 1;
    }
};

// Rows of the depthwise convolution, one after another, for some panels of the hidden channels.
class Rows {
  public:
    Rows(const Block& block, const Sizes& sizes, const Panel* first, const Panel* last)
        : block(block), sizes(sizes), first(first), last(last) {
        // Of narrow maps several rows are expanded at once, so that there are pixels to share.
        at_once = std::max<long>(1, std::min<long>(sizes.height, 96 / sizes.width));
        slots = 2 * block.dilation + at_once;
        wide = sizes.width + 2 * block.dilation;
        begin = first->first * LANES;
        long channels = (last[-1].first + last[-1].width) * LANES - begin;
        size = wide * channels;
        ring.assign(slots * size, 0);
        outside.assign(size, 0);
        spare.resize(MOST_PIXELS * block.in);
    }

    // Begin with row y of an image.
    void start(const float* image, long y) {
        x = image;
        next = std::max<long>(0, y * block.stride - block.dilation);
    }

    // Row y, after its ReLU6 if there is no squeeze-excite, which wants `sums`. Rows come in order
    // and end before `end`. Output pixels are `pixel` floats apart.
    void row(long y, long end, float* to, long pixel, float* sums) {
        const long reach = block.dilation;
        const long needed = std::min(sizes.height, y * block.stride + reach + 1);
        const long ever = std::min(sizes.height, (end - 1) * block.stride + reach + 1);
        while (next < needed) {
            long count = std::min(at_once, ever - next);
            expand(next, count);
            next += count;
        }
        const float* lines[3];
        for (int i = 0; i < 3; ++i) {
            long source = y * block.stride + (i - 1) * reach;
            lines[i] = source < 0 || source >= sizes.height ? outside.data() : slot(source);
        }
        for (const Panel* panel = first; panel < last; ++panel)
            for (long v = 0; v < panel->width; ++v) {
                const long channel = (panel->first + v) * LANES, step = panel->width * LANES;
                const long offset = place(*panel) + v * LANES;
                const float* from[] = {lines[0] + offset, lines[1] + offset, lines[2] + offset};
                float* sum = sums ? sums + channel : nullptr;
                if (reach == 1 && block.stride == 1)
                    convolve<1, 4>(from, step, channel, to + channel, pixel, sum);
                else if (reach == 1 && block.stride == 2)
                    convolve<2, 4>(from, step, channel, to + channel, pixel, sum);
                else if (block.stride == 1)
                    convolve<1, 1>(from, step, channel, to + channel, pixel, sum);
                else
                    convolve<2, 1>(from, step, channel, to + channel, pixel, sum);
            }
    }

  private:
    const Block& block;
    const Sizes& sizes;
    const Panel *first, *last;
    long at_once, slots, wide, begin, size, next = 0;
    const float* x = nullptr;
    std::vector<float> ring, outside, spare;

    float* slot(long row) { return ring.data() + row % slots * size; }
    long place(const Panel& panel) const { return (panel.first * LANES - begin) * wide; }

    // Compute rows of the expanded map. In a slot, the pixels of a panel lie together.
    void expand(long row, long count) {
        const float* pixels = x + row * sizes.width * block.in;
        for (const Panel* panel = first; panel < last; ++panel) {
            const long step = panel->width * LANES, begin = panel->first * LANES;
            long column = sizes.width - 1, down = -1;
            float* to = nullptr;
            auto advance = [&] {  // `to`, by a pixel
                to += step;
                if (++column == sizes.width) {
                    column = 0;
                    to = slot(row + ++down) + place(*panel) + block.dilation * step;
                }
            };
            auto activated = [&](auto act) {
                with_width(panel->width, [&](auto width) {
                    multiply<width.value>(pixels, block.in, count * sizes.width,
                                          block.expand + begin * block.in, block.in,
                                          block.expand_bias + begin, spare.data(),
                                          [&](long, int v, Vec value) {
                                              if (v == 0) advance();
                                              store(to + v * LANES, decltype(act)::of(value));
                                          });
                });
            };
            if (block.expands) {
                block.silu ? activated(SiLU()) : activated(ReLU6());
                continue;
            }
            for (long pixel = 0; pixel < count * sizes.width; ++pixel) {
                advance();
                for (long c = 0; c < step; c += LANES)
                    store(to + c, load(pixels + pixel * block.in + begin + c, block.in - begin - c));
            }
        }
    }

    // One vector of channels of a row. AT_ONCE pixels share what they read, if nothing is dilated.
    template <int STRIDE, int AT_ONCE>
    void convolve(const float* const* lines, long step, long channel, float* to, long pixel,
                  float* sums) const {
        constexpr int READ = (AT_ONCE - 1) * STRIDE + 3;
        const long apart = (AT_ONCE == 1 ? block.dilation : 1) * step;
        const Vec bias = load(block.depthwise_bias + channel);
        const bool last = !block.gates;
        Vec weights[9], total{};
#pragma GCC unroll 16
        for (int i = 0; i < 9; ++i)
            weights[i] = load(block.depthwise + i * padded(block.hidden) + channel);
        for (long x = 0; x < sizes.columns; x += AT_ONCE) {
            if (AT_ONCE > 1 && x + AT_ONCE > sizes.columns) {
                for (; x < sizes.columns; ++x) {  // what is left, one by one
                    Vec y = bias;
                    for (int i = 0; i < 9; ++i)
                        y += weights[i] * load(lines[i / 3] + (x * STRIDE + i % 3) * step);
                    total += y;
                    store(to + x * pixel, last ? ReLU6::of(y) : y);
                }
                break;
            }
            Vec y[AT_ONCE];
#pragma GCC unroll 4
            for (int o = 0; o < AT_ONCE; ++o) y[o] = bias;
#pragma GCC unroll 4
            for (int i = 0; i < 3; ++i) {
                Vec read[READ];
#pragma GCC unroll 16
                for (int j = 0; j < READ; ++j)
                    read[j] = load(lines[i] + x * STRIDE * step + j * apart);
#pragma GCC unroll 4
                for (int o = 0; o < AT_ONCE; ++o)
#pragma GCC unroll 4
                    for (int j = 0; j < 3; ++j) y[o] += weights[3 * i + j] * read[o * STRIDE + j];
            }
#pragma GCC unroll 4
            for (int o = 0; o < AT_ONCE; ++o) {
                total += y[o];
                store(to + (x + o) * pixel, last ? ReLU6::of(y[o]) : y[o]);
            }
        }
        if (sums) store(sums, load(sums) + total);
    }
};

// What squeeze-excite multiplies an image's channels by, from sums over the pixels of each band.
void gate(const Block& b, const float* sums, long bands, long pixels, float* gates) {
    const long whole = padded(b.hidden);
    std::vector<float> mean(whole), few(b.gates);
    for (long c = 0; c < b.hidden; ++c) {
        double sum = 0;
        for (long band = 0; band < bands; ++band) sum += sums[band * whole + c];
        mean[c] = sum / pixels;
    }
    for (long g = 0; g < b.gates; ++g) {
        Vec sum{};
        for (long c = 0; c < whole; c += LANES) sum += load(b.reduce + g * whole + c) * load(&mean[c]);
        float value = b.reduce_bias[g];
        for (int i = 0; i < LANES; ++i) value += sum[i];
        few[g] = value < 0 ? 0 : value;
    }
    for (long c = 0; c < whole; c += LANES) {
        Vec sum = load(b.excite_bias + c);
        for (long g = 0; g < b.gates; ++g) sum += few[g] * load(b.excite + g * whole + c);
        store(gates + c, sigmoid(sum));
    }
}

// Pixels of the hidden channels to pixels of the output; x are the block's own inputs.
void project(const Block& b, const std::vector<Panel>& out, const float* hidden, long count,
             const float* x, float* y, float* spare) {
    const long whole = padded(b.hidden);
    for (const Panel& panel : out)
        with_width(panel.width, [&](auto width) {
            multiply<width.value>(
                hidden, whole, count, b.project + panel.first * LANES * whole, whole,
                b.project_bias + panel.first * LANES, spare, [&](long pixel, int v, Vec value) {
                    const long channel = (panel.first + v) * LANES;
                    if (b.shortcut && channel < b.in)
                        value += load(x + pixel * b.in + channel, b.in - channel);
                    store(y + pixel * b.out + channel, value, b.out - channel);
                });
        });
}

// Bands of rows that threads take in turns.
long band_count(const Sizes& s, long threads) {
    return std::min<long>(2 * threads, std::max<long>(1, s.rows / 8));
}

void run_at_once(const Block& b, const Sizes& s, const float* x, float* y, long threads) {
    const long whole = padded(b.hidden);
    const auto hidden = panels(b.hidden), out = panels(b.out);
    const long bands = std::max(band_count(s, threads), std::min(s.rows, threads));
#pragma omp parallel num_threads(threads)
    {
        Rows rows(b, s, hidden.data(), hidden.data() + hidden.size());
        std::vector<float> line(s.columns * whole), spare(MOST_PIXELS * whole);
#pragma omp for schedule(dynamic) collapse(2)
        for (long n = 0; n < s.images; ++n)
            for (long band = 0; band < bands; ++band) {
                const long first = band * s.rows / bands, end = (band + 1) * s.rows / bands;
                const float* image = x + n * s.height * s.width * b.in;
                rows.start(image, first);
                for (long row = first; row < end; ++row) {
                    rows.row(row, end, line.data(), whole, nullptr);
                    const long before = row * s.columns;
                    project(b, out, line.data(), s.columns, image + before * b.in,
                            y + (n * s.rows * s.columns + before) * b.out, spare.data());
                }
            }
    }
}

void run_with_gates(const Block& b, const Sizes& s, const float* x, float* y, float* scratch,
                    long threads) {
    const long whole = padded(b.hidden), pixels = s.rows * s.columns;
    const auto hidden = panels(b.hidden), out = panels(b.out);
    const long count = hidden.size(), bands = band_count(s, threads);
    float* sums = scratch + s.images * pixels * whole;
    float* gates = sums + s.images * bands * whole;
    std::memset(sums, 0, sizeof(float) * s.images * bands * whole);
    const long tile = std::min<long>(48, std::max<long>(MOST_PIXELS, pixels / threads));
    const long tiles = (pixels + tile - 1) / tile;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic) collapse(3)
        for (long n = 0; n < s.images; ++n)
            for (long band = 0; band < bands; ++band)
                for (long p = 0; p < count; ++p) {
                    const long first = band * s.rows / bands, end = (band + 1) * s.rows / bands;
                    Rows rows(b, s, &hidden[p], &hidden[p] + 1);
                    rows.start(x + n * s.height * s.width * b.in, first);
                    for (long row = first; row < end; ++row)
                        rows.row(row, end, scratch + (n * pixels + row * s.columns) * whole, whole,
                                 sums + (n * bands + band) * whole);
                }
#pragma omp for
        for (long n = 0; n < s.images; ++n)
            gate(b, sums + n * bands * whole, bands, pixels, gates + n * whole);
        std::vector<float> active(tile * whole), spare(MOST_PIXELS * whole);
#pragma omp for schedule(dynamic) collapse(2)
        for (long n = 0; n < s.images; ++n)
            for (long t = 0; t < tiles; ++t) {
                const long first = n * pixels + t * tile, here = std::min(tile, pixels - t * tile);
                const float *from = scratch + first * whole, *gate = gates + n * whole;
                for (long i = 0; i < here; ++i)
                    for (long c = 0; c < whole; c += LANES)
                        store(&active[i * whole + c],
                              ReLU6::of(load(from + i * whole + c) * load(gate + c)));
                project(b, out, active.data(), here, x + first * b.in, y + first * b.out,
                        spare.data());
            }
    }
}

}  // namespace

extern "C" {

// Floats of `scratch` that `bottleneck` needs.
long bottleneck_scratch(const Block* block, long images, long height, long width, long threads) {
    const Sizes s(*block, images, height, width);
    const long pixels = s.rows * s.columns, bands = band_count(s, threads);
    return block->gates ? images * padded(block->hidden) * (pixels + bands + 1) : 0;
}

// From x (images, height, width, in) to y (images, rows, columns, out).
void bottleneck(const Block* block, const float* x, float* y, float* scratch, long images, long height,
         long width, long threads) {
    const Sizes s(*block, images, height, width);
    if (block->gates) run_with_gates(*block, s, x, y, scratch, threads);
    else run_at_once(*block, s, x, y, threads);
}

}  // extern "C"
