/* libcudnn.so.9: the backend API as a store of attributes. What engines do is in engines.c. */
#include "cudnn.h"

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
size_t cudnnGetCudartVersion(void) { return STANDIN_CUDA_VERSION; }

cudnnStatus_t cudnnGetProperty(libraryPropertyType part, int *value) {
  *value = part == MAJOR_VERSION ? CUDNN_MAJOR : part == MINOR_VERSION ? CUDNN_MINOR : CUDNN_PATCHLEVEL;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGraphVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnOpsVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnAdvVersionCheck(void) { return CUDNN_STATUS_SUCCESS; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    default: return "status of the stand-in GPU";
  }
}

void cudnnGetLastErrorString(char *message, size_t size) {
  if (size) message[0] = 0;
}

/* ---- descriptors ---- */

static size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    case CUDNN_TYPE_FRACTION: return 2 * sizeof(int64_t);
    default: return sizeof(int); /* 32-bit numbers and the enumerations */
  }
}

descriptor *descriptor_new(cudnnBackendDescriptorType_t type) {
  descriptor *made = calloc(1, sizeof *made);
  made->type = type;
  return made;
}

const attribute *descriptor_find(const descriptor *in, cudnnBackendAttributeName_t name) {
  for (int i = 0; i < in->attribute_count; i++)
    if (in->attributes[i].name == name) return &in->attributes[i];
  return NULL;
}

descriptor *descriptor_of(const descriptor *in, cudnnBackendAttributeName_t name) {
  const attribute *found = descriptor_find(in, name);
  return found && found->count ? ((descriptor **)found->values)[0] : NULL;
}

void descriptor_set(descriptor *to, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                    const void *values) {
  attribute *place = (attribute *)descriptor_find(to, name);
  if (!place) {
    if (to->attribute_count == to->attribute_room) {
      to->attribute_room += 8;
      to->attributes = realloc(to->attributes, to->attribute_room * sizeof *to->attributes);
    }
    place = &to->attributes[to->attribute_count++];
  }
  size_t bytes = (size_t)count * size_of(type);
  *place = (attribute){name, type, count, malloc(bytes + 1)};
  memcpy(place->values, values, bytes);
}

/* As in cuDNN, whoever asks for a descriptor hands in one of the type, and gets the content. */
static void copy_content(descriptor *to, const descriptor *from) {
  to->attribute_count = 0;
  for (int i = 0; i < from->attribute_count; i++) {
    const attribute *a = &from->attributes[i];
    descriptor_set(to, a->name, a->type, a->count, a->values);
  }
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *made) {
  *made = descriptor_new(type);
  return CUDNN_STATUS_SUCCESS;
}

/* Only what no other descriptor can point at is given back; the rest is small and lives as long as the process. */
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle) {
  descriptor *old = handle;
  if (old && old->type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    for (int i = 0; i < old->attribute_count; i++) free(old->attributes[i].values);
    free(old->attributes);
    free(old);
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  if (!handle || count < 0) return CUDNN_STATUS_BAD_PARAM;
  descriptor_set(handle, name, type, count, values);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t handle) { return engines_finalize(handle); }

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values) {
  const attribute *found = descriptor_find(handle, name);
  int64_t given = found ? found->count : 0;
  if (values && given > room) given = room;
  if (count) *count = given;
  if (!values || !given) return CUDNN_STATUS_SUCCESS;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    for (int64_t i = 0; i < given; i++) copy_content(((descriptor **)values)[i], ((descriptor **)found->values)[i]);
  else
    memcpy(values, found->values, (size_t)given * size_of(found->type));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  return engines_execute(plan, handle->stream);
}
