/* Which events belong to some calls, and how they are linked from above: the same as analysis/evidence.py says with
   arrays, in one pass over the tables. Ids that are no row numbers come as the rows that they stand for, -1 for none. */
#include "columns.h"

/* The layer of each row, by the code of its name; -1 where it has none. */
void tft_ranks(int64_t rows, const tft_column *code, const int8_t *of_code, int8_t *rank) {
    for (int64_t row = 0; row < rows; row++) {
        int32_t at = narrow(code, row, -1);
        rank[row] = at < 0 ? -1 : of_code[at];
    }
}

static inline int64_t row_of(const tft_column *ids, int64_t row, int64_t rows) {
    int64_t id = wide(ids, row, -1);
    return id < rows ? id : -1;
}

/* Whether one id in a row stands for a row that has a place, and the other for an event that has a layer; which these
   are. */
static inline int resolved(int64_t row, const tft_column *one, int64_t rows, const int32_t *place, const tft_column *other,
                           int64_t events, const int8_t *rank, int64_t *placed, int64_t *ranked) {
    *placed = row_of(one, row, rows);
    if (*placed < 0 || place[*placed] < 0)
        return 0;
    *ranked = row_of(other, row, events);
    return *ranked >= 0 && rank[*ranked] >= 0;
}

/* The events of those calls that have a number: their rows, layers and calls; those without a layer are left out.
   Returns how many. */
int64_t tft_members(int64_t rows, const tft_column *event, const tft_column *call, int64_t events, const int8_t *rank,
                    int64_t calls, const int32_t *number, int64_t *event_of, int8_t *layer_of, int32_t *call_of) {
    int64_t count = 0, owner, of;
    for (int64_t row = 0; row < rows; row++) {
        if (!resolved(row, call, calls, number, event, events, rank, &owner, &of))
            continue;
        event_of[count] = of;
        layer_of[count] = rank[of];
        call_of[count++] = number[owner];
    }
    return count;
}

/* Of each link from a layer above into an event that has a place: that place, how good the link is (layers that lie
   between first, then strength by the code of its evidence; less is better), and the code of its rule. Returns how
   many. */
int64_t tft_above(int64_t rows, const tft_column *child, const tft_column *parent, const tft_column *rule,
                  const tft_column *evidence, const int8_t *strength, int8_t weakest, int64_t events, const int8_t *rank,
                  const int32_t *place, int8_t layers, int8_t grades, int32_t *into, int16_t *good, int32_t *rule_of) {
    int64_t count = 0, below, above;
    for (int64_t row = 0; row < rows; row++) {
        if (!resolved(row, child, events, place, parent, events, rank, &below, &above) || rank[above] >= rank[below])
            continue;
        int32_t code = narrow(evidence, row, -1);
        into[count] = place[below];
        good[count] = (int16_t)((layers - rank[above]) * grades + (code < 0 ? weakest : strength[code]));
        rule_of[count++] = narrow(rule, row, -1);
    }
    return count;
}

/* The best link into each place: `best` holds how good it is and its rule, by number, in the lower 32 bits. */
void tft_best(int64_t count, const int32_t *into, const int16_t *good, const int32_t *rule, const int32_t *number,
              int32_t unnamed, int64_t *best) {
    for (int64_t at = 0; at < count; at++) {
        int64_t key = (int64_t)good[at] << 32 | (uint32_t)(rule[at] < 0 ? unnamed : number[rule[at]]);
        if (key < best[into[at]])
            best[into[at]] = key;
    }
}

/* The code of the best link into each of the places, -1 where there is none: evidence, then the layer of the parent,
   then the rule, which is `unnamed` where `best` has the one called `nameless`. */
void tft_codes(int64_t count, const int32_t *place, const int64_t *best, int64_t rules, int64_t nameless,
               int64_t unnamed, int64_t layers, int64_t grades, int64_t *code) {
    for (int64_t at = 0; at < count; at++) {
        int64_t key = best[place[at]];
        if (key == INT64_MAX) {
            code[at] = -1;
            continue;
        }
        int64_t good = key >> 32, rule = (uint32_t)key == nameless ? unnamed : (uint32_t)key;
        code[at] = (good % grades * (layers + 1) + layers - good / grades + 1) * rules + rule;
    }
}

/* By layer and call the weakest link of those members that are kept (or all of them): the largest code. `codes` has
   less than -1 where nothing was seen. */
void tft_weakest(int64_t count, const int32_t *call, const int8_t *layer, const int64_t *link, const uint8_t *kept,
                 int64_t calls, int32_t *codes) {
    for (int64_t at = 0; at < count; at++) {
        int32_t *code = codes + layer[at] * calls + call[at];
        if ((!kept || kept[at]) && *code < link[at])
            *code = (int32_t)link[at];
    }
}

/* How many events of each name each group has in each layer: of those that a link leads into from above, or of all where
   none leads into that layer. `entered` and `counts` begin as zeros, with places for (group, layer) and for (group, layer,
   name). */
void tft_named(int64_t count, const int32_t *call, const int8_t *layer, const int64_t *link, const int64_t *name,
               const int64_t *group, int64_t layers, int64_t names, uint8_t *entered, int64_t *counts) {
    for (int64_t at = 0; at < count; at++)
        if (link[at] >= 0)
            entered[group[call[at]] * layers + layer[at]] = 1;
    for (int64_t at = 0; at < count; at++) {
        int64_t slot = group[call[at]] * layers + layer[at];
        if (name[at] >= 0 && (link[at] >= 0 || !entered[slot]))
            counts[slot * names + name[at]]++;
    }
}
