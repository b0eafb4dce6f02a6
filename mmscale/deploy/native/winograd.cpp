// A 3x3 convolution of stride 1 and padding 1 in float32, for channels-last maps on a CPU.
//
// Winograd's algorithm F(2x2, 3x3): tiles of 4 x 4 inputs give 2 x 2 outputs by 16 products for each
// pair of channels instead of 36 (Lavin and Gray, Fast Algorithms for Convolutional Neural
// Networks, CVPR 2016). Blocks of tiles stay in the cache between their three steps.

#include "vectors.h"

namespace {

constexpr long TILES = 24;  // of a block, at most
constexpr long PARTS = 16;  // values of a tile

// B^T d of four rows or columns.
inline void spread(const Vec* d, long step, Vec* out, long out_step) {
    const Vec a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
    out[0] = a - c;
    out[out_step] = b + c;
    out[2 * out_step] = c - b;
    out[3 * out_step] = b - e;
}

// The transform of a tile whose first input is at (row, column), for all channels.
void transform(const float* x, long height, long width, long in, long row, long column, float* to,
               long part) {
    for (long c = 0; c < in; c += LANES) {
        Vec d[16], half[16], whole[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            const long y = row + i / 4, at = column + i % 4;
            const bool inside = y >= 0 && y < height && at >= 0 && at < width;
            d[i] = inside ? load(x + (y * width + at) * in + c, in - c) : Vec{};
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) spread(d + i, 4, half + i, 4);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) spread(half + 4 * i, 1, whole + 4 * i, 1);
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) store(to + i * part + c, whole[i]);
    }
}

}  // namespace

extern "C" {

// The weights (16, out, in) of the transformed tiles from those of the convolution, (out, in, 9).
void winograd_weights(const float* weights, long out, long in, float* to) {
    for (long o = 0; o < out; ++o)
        for (long i = 0; i < in; ++i) {
            const float* g = weights + (o * in + i) * 9;
            double half[4][3];  // G g
            for (int j = 0; j < 3; ++j) {
                const double a = g[j], b = g[3 + j], c = g[6 + j];
                half[0][j] = a;
                half[1][j] = (a + b + c) / 2;
                half[2][j] = (a - b + c) / 2;
                half[3][j] = c;
            }
            for (int r = 0; r < 4; ++r) {  // G g G^T
                const double a = half[r][0], b = half[r][1], c = half[r][2];
                const double row[4] = {a, (a + b + c) / 2, (a - b + c) / 2, c};
                for (int j = 0; j < 4; ++j) to[((4 * r + j) * out + o) * in + i] = row[j];
            }
        }
}

// From x (images, height, width, in) to y (images, height, width, out), whose pixels are `step`
// floats apart, with ReLU if it is wanted. `weights` are 16 packed matrices (out, padded in), `bias`
// is padded.
void winograd(const float* x, float* y, long step, const float* weights, const float* bias, long relu,
              long images, long height, long width, long in, long out, long threads) {
    const long rows = (height + 1) / 2, columns = (width + 1) / 2, count = images * rows * columns;
    const long depth = padded(in), matrix = padded(out) * depth;
    const long tiles_of_block = std::min(TILES, std::max<long>(MOST_PIXELS, count / (4 * threads)));
    const long blocks = (count + tiles_of_block - 1) / tiles_of_block;
    const auto made = panels(out);
    // Of few tiles, each thread computes some of the output's channels.
    const long shares = blocks < threads ? std::min<long>(threads, made.size()) : 1;
    const std::vector<float> nothing(PANEL * LANES);
    const float least = least_of(relu);
#pragma omp parallel num_threads(threads)
    {
        const long part = TILES * depth;
        std::vector<float> tiles(PARTS * part), sums(PARTS * TILES * PANEL * LANES);
        std::vector<float> spare(MOST_PIXELS * depth);
#pragma omp for schedule(dynamic) collapse(2)
        for (long block = 0; block < blocks; ++block)
        for (long share = 0; share < shares; ++share) {
            const long first = block * tiles_of_block, here = std::min(tiles_of_block, count - first);
            for (long t = 0; t < here; ++t) {
                const long n = (first + t) / (rows * columns), rest = (first + t) % (rows * columns);
                transform(x + n * height * width * in, height, width, in, rest / columns * 2 - 1,
                          rest % columns * 2 - 1, &tiles[t * depth], part);
            }
            const Panel* end = made.data() + (share + 1) * made.size() / shares;
            for (const Panel* p = made.data() + share * made.size() / shares; p < end; ++p) {
                const Panel& panel = *p;
                const long wide = panel.width * LANES, begin = panel.first * LANES;
                for (long i = 0; i < PARTS; ++i)
                    with_width(panel.width, [&](auto width) {
                        multiply<width.value>(&tiles[i * part], depth, here,
                                              weights + i * matrix + begin * depth, depth,
                                              nothing.data(), spare.data(),
                                              [&](long t, int v, Vec value) {
                                                  store(&sums[(i * TILES + t) * wide + v * LANES], value);
                                              });
                    });
                for (long t = 0; t < here; ++t) {
                    const long n = (first + t) / (rows * columns);
                    const long rest = (first + t) % (rows * columns);
                    const long row = rest / columns * 2, column = rest % columns * 2;
                    for (long v = 0; v < panel.width; ++v) {
                        Vec half[8], m[16];
#pragma GCC unroll 16
                        for (int i = 0; i < 16; ++i)
                            m[i] = load(&sums[(i * TILES + t) * wide + v * LANES]);
#pragma GCC unroll 4
                        for (int j = 0; j < 4; ++j) {  // A^T m
                            half[j] = m[j] + m[4 + j] + m[8 + j];
                            half[4 + j] = m[4 + j] - m[8 + j] - m[12 + j];
                        }
                        const long channel = begin + v * LANES;
                        const Vec b = load(bias + channel);
#pragma GCC unroll 2
                        for (int i = 0; i < 2; ++i) {
                            const Vec* h = half + 4 * i;
                            if (row + i >= height) break;
                            float* to = y + ((n * height + row + i) * width + column) * step + channel;
                            store(to, at_least(h[0] + h[1] + h[2] + b, least), out - channel);
                            if (column + 1 < width)
                                store(to + step, at_least(h[1] - h[2] - h[3] + b, least), out - channel);
                        }
                    }
                }
            }
        }
    }
}

}  // extern "C"
