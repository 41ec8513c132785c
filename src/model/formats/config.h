/* config.h - a model as a Hugging Face folder's config.json describes it. */
#ifndef DG_MODEL_FORMATS_CONFIG_H
#define DG_MODEL_FORMATS_CONFIG_H

#include "../weights.h"

/* Fills w's sizes, recipe and ids of config.json. `path` stands for it in errors. DG_ERR_MODEL: it is none, or says
 * something that the program cannot do. */
enum dg_status dg_config_read(struct dg_weights *w, const char *path, struct dg_error *err);

/* The ids of generation_config.json, where it has any, take the place of w's. */
enum dg_status dg_generation_config_read(struct dg_weights *w, const char *path,
                                         struct dg_error *err);

#endif
