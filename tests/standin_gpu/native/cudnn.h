/* The backend descriptors of the stand-in's cuDNN: typed attributes under their own numbers. */
#pragma once
#include "handles.h"
#include "standin.h"

#pragma GCC visibility push(hidden)

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };

typedef struct {
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  int64_t count;
  void *values;
} attribute;

typedef struct descriptor {
  cudnnBackendDescriptorType_t type;
  int attribute_count, attribute_room;
  attribute *attributes;
} descriptor;

descriptor *descriptor_new(cudnnBackendDescriptorType_t type);
void descriptor_set(descriptor *to, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                    const void *values);
/* NULL where it was never set. */
const attribute *descriptor_find(const descriptor *in, cudnnBackendAttributeName_t name);
/* First value of an attribute that holds descriptors; NULL where it was never set. */
descriptor *descriptor_of(const descriptor *in, cudnnBackendAttributeName_t name);

/* engines.c */

/* What cuDNN works out when a descriptor is finalised: an engine's notes, a plan's workspace, a heuristic's results. */
cudnnStatus_t engines_finalize(descriptor *made);
cudnnStatus_t engines_execute(const descriptor *plan, void *stream);

#pragma GCC visibility pop
