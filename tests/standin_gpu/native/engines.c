/* The made-up engines of the stand-in's cuDNN: what heuristics offer, what finalising and executing a plan does.
 *
 * | engine | forward, backward data, backward filter us | workspace | what happens |
 * |---|---|---|---|
 * | 0 | 420, 460, 500 | none    | runs |
 * | 1 | 180, 210, 240 | 64 KiB  | runs |
 * | 2 |  90, 120, 300 | 1 MiB   | runs; the fastest but for backward filter |
 * | 3 |  70,  70,  70 | 4 KiB   | its execution fails |
 * | 4 | 150, 200,  80 | 8 KiB   | runs; NONDETERMINISTIC; the fastest for backward filter |
 * | 5 |  50,  50,  50 | 16 KiB  | runs; DOWN_CONVERT_INPUTS, which TensorFlow never takes |
 * | 6 |  60,  60,  60 | 32 KiB  | its plan is refused when finalised |
 *
 * Half precision takes six tenths of that, a convolution fused with pointwise operations a tenth more.
 */
#include "cudnn.h"

typedef struct {
  int64_t us[3]; /* by direction */
  int64_t workspace;
  cudnnBackendNumericalNote_t notes[2];
  int note_count;
  int64_t tile;
  cudnnStatus_t when_finalized, when_executed;
} engine;

static const engine engines[] = {
    {.us = {420, 460, 500}, .tile = 0},
    {.us = {180, 210, 240}, .workspace = 64 << 10, .tile = 1},
    {.us = {90, 120, 300}, .workspace = 1 << 20, .tile = 2, .notes = {CUDNN_NUMERICAL_NOTE_WINOGRAD}, .note_count = 1},
    {.us = {70, 70, 70}, .workspace = 4 << 10, .tile = 3, .when_executed = CUDNN_STATUS_EXECUTION_FAILED},
    {.us = {150, 200, 80},
     .workspace = 8 << 10,
     .tile = 4,
     .notes = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC},
     .note_count = 1},
    {.us = {50, 50, 50},
     .workspace = 16 << 10,
     .tile = 5,
     .notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
     .note_count = 2},
    {.us = {60, 60, 60}, .workspace = 32 << 10, .tile = 6, .when_finalized = CUDNN_STATUS_NOT_SUPPORTED},
};
enum { ENGINES = sizeof engines / sizeof engines[0] };

/* The order in which the heuristic offers them: its guess of the best first, which is not the best. */
static const int64_t offered[ENGINES] = {1, 3, 0, 2, 4, 5, 6};

/* ---- the problem ---- */

typedef struct {
  int is_convolution;
  enum direction direction;
  int fused; /* further operations in the graph */
  int half;
} problem;

static problem problem_of(const descriptor *graph) {
  problem found = {0};
  const attribute *operations = graph ? descriptor_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS) : NULL;
  for (int64_t i = 0; operations && i < operations->count; i++) {
    const descriptor *operation = ((descriptor **)operations->values)[i];
    const descriptor *tensor;
    switch (operation->type) {
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        found.direction = FORWARD;
        tensor = descriptor_of(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
        break;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        found.direction = BACKWARD_DATA;
        tensor = descriptor_of(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
        break;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        found.direction = BACKWARD_FILTER;
        tensor = descriptor_of(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
        break;
      default: found.fused = 1; continue;
    }
    const attribute *type = tensor ? descriptor_find(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE) : NULL;
    found.is_convolution = 1;
    found.half = type && *(cudnnDataType_t *)type->values == CUDNN_DATA_HALF;
  }
  return found;
}

static const char *name_of(problem p) {
  static const char *const names[3] = {"conv_fprop", "conv_dgrad", "conv_wgrad"};
  return p.is_convolution ? names[p.direction] : "graph";
}

static int64_t duration_ns(const engine *e, problem p) {
  return e->us[p.direction] * 1000 * (p.half ? 6 : 10) / 10 * (p.fused ? 11 : 10) / 10;
}

/* ---- finalising ---- */

static const engine *engine_of(const descriptor *engine_descriptor, int64_t *index) {
  const attribute *at = descriptor_find(engine_descriptor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  *index = at ? *(int64_t *)at->values : -1;
  return *index >= 0 && *index < ENGINES ? &engines[*index] : NULL;
}

static cudnnStatus_t finalize_engine(descriptor *made) {
  int64_t index;
  const engine *e = engine_of(made, &index);
  if (!e) return CUDNN_STATUS_NOT_SUPPORTED;
  descriptor_set(made, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, e->note_count, e->notes);
  return CUDNN_STATUS_SUCCESS;
}

static descriptor *knob(cudnnBackendKnobType_t type, int64_t value) {
  descriptor *made = descriptor_new(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  descriptor_set(made, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
  descriptor_set(made, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
  return made;
}

static descriptor *offer(int64_t index, descriptor *graph) {
  descriptor *made = descriptor_new(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  descriptor_set(made, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
  descriptor_set(made, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
  finalize_engine(made);
  descriptor *knobs[] = {knob(CUDNN_KNOB_TYPE_TILE_SIZE, engines[index].tile), knob(CUDNN_KNOB_TYPE_STAGES, 0)};
  descriptor *config = descriptor_new(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  descriptor_set(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &made);
  descriptor_set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, 2, knobs);
  return config;
}

static cudnnStatus_t finalize_heuristic(descriptor *made) {
  descriptor *graph = descriptor_of(made, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  descriptor *configs[ENGINES];
  for (int i = 0; i < ENGINES; i++) configs[i] = offer(offered[i], graph);
  descriptor_set(made, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, ENGINES, configs);
  return CUDNN_STATUS_SUCCESS;
}

static const descriptor *engine_of_plan(const descriptor *plan) {
  const descriptor *config = descriptor_of(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  return config ? descriptor_of(config, CUDNN_ATTR_ENGINECFG_ENGINE) : NULL;
}

static cudnnStatus_t finalize_plan(descriptor *made) {
  int64_t index;
  const descriptor *engine_descriptor = engine_of_plan(made);
  const engine *e = engine_descriptor ? engine_of(engine_descriptor, &index) : NULL;
  if (!e) return CUDNN_STATUS_BAD_PARAM;
  descriptor_set(made, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &e->workspace);
  return e->when_finalized;
}

cudnnStatus_t engines_finalize(descriptor *made) {
  switch (made->type) {
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR: return finalize_engine(made);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return finalize_heuristic(made);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finalize_plan(made);
    default: return CUDNN_STATUS_SUCCESS;
  }
}

/* ---- executing ---- */

cudnnStatus_t engines_execute(const descriptor *plan, void *stream) {
  int64_t index;
  const descriptor *engine_descriptor = engine_of_plan(plan);
  const engine *e = engine_of(engine_descriptor, &index);
  if (e->when_executed != CUDNN_STATUS_SUCCESS) return e->when_executed;
  problem p = problem_of(descriptor_of(engine_descriptor, CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
  char name[64];
  snprintf(name, sizeof name, "standin_cudnn_%s%s_engine_%d", name_of(p), p.fused ? "_fused" : "", (int)index);
  standin_launch(name, (standin_extent){16, 1, 1}, (standin_extent){128, 1, 1}, 0, stream, duration_ns(e, p));
  return CUDNN_STATUS_SUCCESS;
}
