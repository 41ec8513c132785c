/* demo.h - the trained model of models/demo, which is part of the program. */
#ifndef DG_TOOLS_DEMO_H
#define DG_TOOLS_DEMO_H

#define DEMO_NAME "demo" /* what -m calls it */

/* The checkpoint and the merges file, byte for byte: from the first to before the end. */
extern const char demo_model[], demo_model_end[];
extern const char demo_merges[], demo_merges_end[];

#endif
