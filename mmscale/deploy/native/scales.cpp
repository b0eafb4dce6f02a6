// What an SA block does to the maps of its scales, in float32, for channels-last maps on a CPU:
// pooling before the convolution; resizing and ReLU after it, into some channels of a wider map,
// whose pixels are `step` floats apart.

#include "vectors.h"

namespace {

// As torch.max: a NaN stays one.
inline Vec larger(Vec a, Vec b) { return (b > a) | (b != b) ? b : a; }

// Between which two of `size` samples the one at `place` of `whole` lies, and how far from the first.
struct Between {
    long first, second;
    float far;

    Between(long place, long size, long whole) {
        const float at = std::max((place + 0.5f) * (float(size) / whole) - 0.5f, 0.0f);
        first = std::min(long(at), size - 1);
        second = std::min(first + 1, size - 1);
        far = at - first;
    }
};

}  // namespace

extern "C" {

// From x (images, height, width, channels) to y (images, height / down, width / across, channels),
// the maxima of windows side by side.
void pool(const float* x, float* y, long images, long height, long width, long channels, long down,
          long across, long threads) {
    const long rows = height / down, columns = width / across;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < images * rows; ++row) {
        const float* line = x + (row / rows * height + row % rows * down) * width * channels;
        float* to = y + row * columns * channels;
        for (long column = 0; column < columns; ++column, line += across * channels, to += channels)
            for (long c = 0; c < channels; c += LANES) {
                Vec most = load(line + c, channels - c);
                for (long i = 0; i < down; ++i)
                    for (long j = 0; j < across; ++j)
                        most = larger(most, load(line + (i * width + j) * channels + c, channels - c));
                store(to + c, most, channels - c);
            }
    }
}

// From x (images, height, width, channels), rectified, to y (images, rows, columns, channels), whose
// sides are multiples: each pixel is repeated.
void resize_nearest(const float* x, float* y, long step, long images, long height, long width,
                    long channels, long rows, long columns, long threads) {
    const long down = rows / height, across = columns / width;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < images * rows; ++row) {
        const float* from = x + row / down * width * channels;
        float* to = y + row * columns * step;
        for (long column = 0; column < columns; ++column, to += step) {
            const float* pixel = from + column / across * channels;
            for (long c = 0; c < channels; c += LANES)
                store(to + c, at_least(load(pixel + c, channels - c), 0), channels - c);
        }
    }
}

// The same to any sides, bilinear (of corners that are not aligned), and rectified after it.
void resize_bilinear(const float* x, float* y, long step, long images, long height, long width,
                     long channels, long rows, long columns, long threads) {
    std::vector<Between> sideways;
    for (long column = 0; column < columns; ++column) sideways.emplace_back(column, width, columns);
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < images * rows; ++row) {
        const Between here(row % rows, height, rows);
        const float* image = x + row / rows * height * width * channels;
        const float* above = image + here.first * width * channels;
        const float* below = image + here.second * width * channels;
        float* to = y + row * columns * step;
        for (long column = 0; column < columns; ++column, to += step) {
            const Between& side = sideways[column];
            const long left = side.first * channels, right = side.second * channels;
            for (long c = 0; c < channels; c += LANES) {
                const long rest = channels - c;
                const Vec top = load(above + left + c, rest) * all(1 - side.far) +
                                load(above + right + c, rest) * all(side.far);
                const Vec bottom = load(below + left + c, rest) * all(1 - side.far) +
                                   load(below + right + c, rest) * all(side.far);
                store(to + c, at_least(top * all(1 - here.far) + bottom * all(here.far), 0), rest);
            }
        }
    }
}

}  // extern "C"
