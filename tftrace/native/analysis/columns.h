/* Columns in Arrow's own memory. */
#include <stdint.h>

/* Values of the column's type and, unless all rows have one, a bit for each that has. */
typedef struct {
    const void *values;
    const uint8_t *valid;
    int64_t offset;
} tft_column;

static inline int has(const tft_column *column, int64_t row) {
    int64_t at = row + column->offset;
    return column->values && (!column->valid || (column->valid[at >> 3] >> (at & 7) & 1));
}

static inline int64_t wide(const tft_column *column, int64_t row, int64_t missing) {
    return has(column, row) ? ((const int64_t *)column->values)[row + column->offset] : missing;
}

static inline int32_t narrow(const tft_column *column, int64_t row, int32_t missing) {
    return has(column, row) ? ((const int32_t *)column->values)[row + column->offset] : missing;
}
