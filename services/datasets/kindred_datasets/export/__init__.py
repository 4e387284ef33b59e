"""A data set as files: COCO, YOLO or Pascal VOC, with manifest, attribution and preview."""
