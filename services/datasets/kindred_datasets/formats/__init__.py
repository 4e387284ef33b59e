"""COCO, YOLO and Pascal VOC; also what `kindred label` writes."""
