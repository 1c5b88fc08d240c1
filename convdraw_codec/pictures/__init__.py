"""Pictures in and out, and metrics of them. No torch, but for MS-SSIM."""
